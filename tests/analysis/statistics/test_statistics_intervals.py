"""Intervals against hand numbers, scipy and simulation."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import SMALLEST_THRESHOLD, paired, smallest_threshold, student


def test_by_hand():
    """Mean 2, sd 1, n 3: half width t(0.975, 2) / sqrt(3) = 4.302653 / 1.732051 = 2.484138."""
    got = student([1.0, 2.0, 3.0])
    assert got == pytest.approx((2.0, 2.0 - 2.484138, 2.0 + 2.484138), abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 40])
@pytest.mark.parametrize("level", [0.8, 0.95, 1 - 0.05 / 16])
def test_against_scipy(n, level):
    x = np.random.default_rng(n).normal(0.3, 2.0, n)
    low, high = stats.t.interval(level, n - 1, loc=x.mean(), scale=stats.sem(x))
    assert student(x, level) == pytest.approx((x.mean(), low, high))


def test_paired_is_scipys_paired_test():
    a, b = np.random.default_rng(0).normal(size=(2, 12))
    reference = stats.ttest_rel(a, b).confidence_interval(0.9)
    got = paired(a, b, 0.9)
    assert (got.low, got.high) == pytest.approx((reference.low, reference.high))
    assert got.estimate == pytest.approx(a.mean() - b.mean())


def test_pairing_removes_what_pairs_share():
    """Differences are exactly 1 although the seeds differ wildly: the interval is a point."""
    b = np.array([0.0, 100.0, -50.0])
    assert paired(b + 1, b) == pytest.approx((1.0, 1.0, 1.0))


def test_few_observations():
    assert student([]) == pytest.approx((np.nan,) * 3, nan_ok=True)
    assert student([2.0]) == pytest.approx((2.0, np.nan, np.nan), nan_ok=True)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_coverage(n):
    """4,000 normal samples: the 95 % interval holds the mean in 95 % of them, within four standard errors."""
    samples = np.random.default_rng(7).normal(1.0, 3.0, (4000, n))
    held = np.mean([i.low <= 1.0 <= i.high for i in map(student, samples)])
    assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: student([1.0, np.nan]), "missing"),
        (lambda: student([[1.0]]), "one value per seed"),
        (lambda: student([1.0, 2.0], 95), "level"),
        (lambda: paired([1.0, 2.0], [1.0]), "pairs"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(("seeds", "factor"), [(5, 1.95), (9, 1.95), (16, 0.90), (31, 0.80), (64, 0.45), (500, 0.45)])
def test_smallest_threshold_takes_the_tabled_number_below(seeds, factor):
    assert smallest_threshold(seeds) == factor


def test_no_threshold_below_five():
    assert np.isnan(smallest_threshold(4))


def test_the_thresholds_do_what_they_say():
    """At each tabled threshold, in sd: no effect is called negligible, twice it is supported, in about 80 %."""
    rng = np.random.default_rng(3)
    for n, delta in SMALLEST_THRESHOLD.items():
        noise = rng.normal(size=(1500, n))
        half = stats.t.ppf(0.975, n - 1) * noise.std(axis=1, ddof=1) / np.sqrt(n)
        mean = noise.mean(axis=1)
        assert np.mean(np.abs(mean) + half < delta) > 0.77
        assert np.mean(mean + 2 * delta - half > delta) > 0.77
