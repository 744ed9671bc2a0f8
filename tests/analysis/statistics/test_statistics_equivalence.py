"""The interval rule and the two one-sided tests are the same decision."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from analysis.statistics.equivalence import tost, within
from analysis.statistics.intervals import Interval, student
from analysis.verdict.decisions import CORRECTED, decide


def test_against_statsmodels():
    a, b = np.random.default_rng(0).normal(size=(2, 15))
    overall, lower, upper = ttost_paired(a, b, -0.6, 0.6)
    got = tost(a - b, 0.6)
    assert got == pytest.approx((lower[1], upper[1]))
    assert got.p == pytest.approx(overall)


@pytest.mark.parametrize("level", [0.9, 0.95, CORRECTED])
def test_agrees_with_the_interval_inside_the_margins(level):
    """Both one-sided tests at (1 - level) / 2 <=> the interval of that level lies inside, 300 times near the edge."""
    rng, yes = np.random.default_rng(1), 0
    for _ in range(300):
        x = rng.normal(rng.normal(0, 0.2), 0.5, rng.integers(3, 30))
        delta = abs(x.mean()) + rng.uniform(0.3, 1.7) * (student(x, level).high - x.mean())
        inside = within(student(x, level), delta)
        assert inside == (tost(x, delta).p < (1 - level) / 2)
        assert inside == (decide(student(x, level), delta, equivalence=True) == "supported")
        yes += inside
    assert 60 < yes < 240


def test_margins_are_open():
    assert not within(Interval(0.5, 0.0, 1.0), 1.0)
    assert within(Interval(0.5, 0.0, 0.999), 1.0)
    assert not within(Interval(0.5, np.nan, np.nan), 1.0)


def test_without_spread_or_replicates():
    assert tost([0.2, 0.2], 0.3) == (0.0, 0.0)
    assert tost([0.4, 0.4], 0.3).p == 1.0
    assert tost([-0.3, -0.3], 0.3).above_lower == 1.0
    assert np.isnan(tost([0.2], 0.3)).all()


def test_mirror():
    x = np.random.default_rng(2).normal(0.1, 1, 9)
    assert tost(x, 0.4) == pytest.approx(tost(-x, 0.4)[::-1])
