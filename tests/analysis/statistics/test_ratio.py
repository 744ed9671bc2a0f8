"""Fieller's interval: by hand, in its limits, and how often it holds the truth."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import NoEstimate, student
from analysis.statistics.ratio import fieller


def test_by_hand():
    """Means 2 and 4; variances of the means 1/2 and 1/2, no covariance; t = 12.706 is too wide, so three seeds: t = 4.303."""
    n, d = np.array([1.0, 2.0, 3.0]), np.array([9.0, 12.0, 9.0])
    t2 = stats.t.ppf(0.975, 2) ** 2
    a, b, c = 100 - t2 * 3 / 3, 20.0, 4 - t2 * 1 / 3
    low, high = sorted(np.roots([a, -2 * b, c]))
    assert fieller(n, d) == pytest.approx((0.2, low, high))


def test_a_denominator_without_spread_leaves_students_interval():
    n = np.random.default_rng(0).normal(1, 0.3, 20)
    found = fieller(n, np.full(20, 2.0))
    assert found == pytest.approx([x / 2 for x in student(n)])


def test_a_denominator_that_may_be_0_is_not_resolvable():
    rng = np.random.default_rng(0)
    with pytest.raises(NoEstimate, match="covers 0"):
        fieller(rng.normal(1, 0.1, 20), rng.normal(0.01, 0.5, 20))
    with pytest.raises(NoEstimate, match="two seeds"):
        fieller([1.0], [2.0])
    with pytest.raises(ValueError, match="pairs"):
        fieller([1.0, 2.0], [2.0])


@pytest.mark.parametrize(("losses", "gain"), [(0.123, 0.055), (0.05, 0.05), (-0.02, 0.06)])
def test_it_holds_the_truth_as_often_as_it_says(losses, gain):
    """Twenty seeds, spreads and correlation as on the walk: both parts hold VAPO's own score, so they rise and fall together."""
    rng, hits, asked = np.random.default_rng(1), 0, 0
    for _ in range(2000):
        own = rng.normal(0, 0.03, 20)
        n = losses + 2.0 * own + rng.normal(0, 0.05, 20)
        d = gain + own + rng.normal(0, 0.03, 20)
        try:
            found = fieller(n, d)
        except NoEstimate:
            continue
        asked += 1
        hits += found.low <= losses / gain <= found.high
    assert asked > 1800
    assert abs(hits / asked - 0.95) < 4 * np.sqrt(0.95 * 0.05 / asked)
