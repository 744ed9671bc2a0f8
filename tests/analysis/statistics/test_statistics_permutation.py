"""Rearrangement tests against hand counts, scipy and their own rate of false alarms."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.permutation import permutation, sign_flip

RNG = np.random.default_rng


def test_signs_by_hand():
    """Of 2^3 signs of 1, 2, 4 only all plus and all minus reach |sum| 7; of 1, 2, -4 (sum -1) only +-(1, 2, -4) do not exceed
    in absolute value what the six others give: sums are 7, 5, 3, 1 and their negatives, each as far as 1."""
    assert sign_flip([1.0, 2.0, 4.0], RNG(0)) == 2 / 8
    assert sign_flip([1.0, 2.0, -4.0], RNG(0)) == 1.0
    assert sign_flip([3.0], RNG(0)) == 1.0


def test_splits_by_hand():
    """1, 2, 3 against 4, 5, 6: two of the 20 splits are as far apart."""
    assert permutation([1, 2, 3], [4, 5, 6], RNG(0)) == 2 / 20


@pytest.mark.parametrize("size", [2, 6, 13])
def test_signs_equal_scipy(size):
    x = RNG(size).normal(0.4, 1, size)
    reference = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(x, RNG(0)) == pytest.approx(reference.pvalue)


@pytest.mark.parametrize("sizes", [(3, 5), (6, 6)])
def test_splits_equal_scipy(sizes):
    """scipy doubles the smaller tail; with equal sizes, a symmetric null, that is both tails."""
    a, b = RNG(1).normal(0.7, 1, sizes[0]), RNG(2).normal(size=sizes[1])
    reference = stats.permutation_test(
        (a, b), lambda x, y: abs(x.mean() - y.mean()), n_resamples=np.inf, alternative="greater"
    )
    assert permutation(a, b, RNG(0)) == pytest.approx(reference.pvalue)


def test_random_rearrangements_estimate_the_exact_share():
    """18 differences are drawn, 16 of them listed: the drawn p lies within four standard errors of all 2^18 signs."""
    x = RNG(3).normal(0.45, 1, 18)
    signs = 1 - 2 * (np.arange(2**18)[:, None] >> np.arange(18) & 1)
    exact = np.mean(np.abs(signs @ x) >= abs(x.sum()) - 1e-12)
    assert sign_flip(x, RNG(0), 20_000) == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))
    a, b = RNG(1).normal(0.7, 1, 14), RNG(2).normal(size=14)
    assert permutation(a, b, RNG(0)) == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.02)


def test_drawn_p_is_never_zero_and_is_repeatable():
    x = np.full(30, 5.0) + RNG(0).random(30)
    assert sign_flip(x, RNG(0), 99) == 1 / 100
    assert permutation(x, -x, RNG(0), 99) == 1 / 100
    y = RNG(5).normal(size=30)
    assert sign_flip(y, RNG(7)) == sign_flip(y, RNG(7))


def test_invariances():
    """Scale and sign change nothing of the first; scale and a common shift nothing of the second."""
    x, a, b = RNG(0).normal(0.5, 1, 9), RNG(1).normal(size=6), RNG(2).normal(size=7)
    assert sign_flip(x, RNG(0)) == sign_flip(-1e-6 * x, RNG(0))
    assert permutation(a, b, RNG(0)) == permutation(b * 1e5 + 1e6, a * 1e5 + 1e6, RNG(0))


def test_false_alarms_come_at_their_rate():
    """400 studies without an effect, skewed but symmetric about 0 between arms: p <= 0.1 in at most a tenth."""
    rng = RNG(0)
    p = np.array([sign_flip(rng.exponential(size=8) * rng.choice([-1, 1], 8), rng) for _ in range(400)])
    q = np.array([permutation(rng.exponential(size=5), rng.exponential(size=5), rng) for _ in range(400)])
    for found in (p, q):
        assert np.mean(found <= 0.1) < 0.1 + 3 * np.sqrt(0.09 / 400)
        assert np.mean(found <= 0.1) > 0.04


@pytest.mark.parametrize("x", [[], [1.0, np.nan], [[1.0]]])
def test_refusals(x):
    with pytest.raises(ValueError, match="finite value per seed"):
        sign_flip(x, RNG(0))
