"""Rank agreement against scipy and the exact null."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.ranks import agreement

RNG = np.random.default_rng


@pytest.mark.parametrize("size", [2, 7, 12])
@pytest.mark.parametrize("ties", [False, True])
def test_coefficients_are_scipys(size, ties):
    rng = RNG(size)
    a, b = (rng.integers(0, 3, (2, size)) if ties else rng.normal(size=(2, size))).astype(float)
    a[0], b[0] = 9, -9
    found = agreement(a, b, RNG(0), draws=200)
    assert found.kendall.value == pytest.approx(stats.kendalltau(a, b).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic)


@pytest.mark.parametrize("size", [4, 7])
def test_p_is_scipys_exact_one(size):
    a, b = RNG(1).normal(size=(2, size))
    assert agreement(a, b, RNG(0)).kendall.p == pytest.approx(stats.kendalltau(a, b, method="exact").pvalue)


def test_seven_components_agree_by_chance_up_to_this():
    """7! orders: tau leaves the central 95 % from 15/21 = 0.71 on, rho from 0.79 on (tables give 0.786 for 5 % two-sided)."""
    found = agreement(range(7), range(7), RNG(0))
    assert (found.kendall.null_low, found.kendall.null_high) == pytest.approx((-13 / 21, 13 / 21))
    assert found.spearman.null_high == pytest.approx(0.75)
    assert found.kendall.p == pytest.approx(2 / 5040)


def test_the_null_interval_holds_random_orders_at_its_rate():
    rng = RNG(0)
    null = agreement(range(12), range(12), rng, draws=5000).kendall
    taus = [stats.kendalltau(rng.permutation(12), range(12)).statistic for _ in range(500)]
    assert np.mean([null.null_low <= tau <= null.null_high for tau in taus]) == pytest.approx(0.95, abs=0.03)


def test_order_alone_counts():
    a, b = RNG(0).normal(size=(2, 7))
    found = agreement(a, b, RNG(0))
    assert agreement(np.exp(a), 3 * b - 8, RNG(0)) == found
    mirrored = agreement(a, -b, RNG(0))
    assert (mirrored.kendall.value, mirrored.spearman.value) == pytest.approx(
        (-found.kendall.value, -found.spearman.value)
    )


def test_a_list_that_does_not_vary_has_no_ranks():
    found = agreement([1, 1, 1], [1, 2, 3], RNG(0))
    assert np.isnan(found.kendall).all()
    assert np.isnan(found.spearman).all()


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1, 2, 3]), ([1], [1])])
def test_refusals(a, b):
    with pytest.raises(ValueError, match="equal length"):
        agreement(a, b, RNG(0))
