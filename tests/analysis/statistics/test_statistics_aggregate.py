"""Aggregates as rliable has them, and the interval that it leaves to a bootstrap."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.aggregate import iqm, performance_profile, probability_of_improvement

# Golden numbers below: rliable 1.2.0 (arch 7.2.0), run on these two score matrices [runs, tasks].
X = np.array([[0.1, 0.9], [0.4, 0.8], [0.35, 1.2], [0.2, 0.5], [0.6, 0.7]])
Y = np.array([[0.3, 0.6], [0.1, 0.8], [0.35, 0.9], [0.5, 0.5]])


def test_iqm_is_rliables():
    assert iqm(X) == pytest.approx(0.5583333333333332)
    assert iqm(Y) == pytest.approx(0.4875)
    assert iqm(X[:, 0]) == pytest.approx(0.3166666666666667)


def test_iqm_by_hand_and_outliers():
    """Of eight numbers the middle four count: (3 + 4 + 5 + 6) / 4, however far the others are."""
    assert iqm([1, 2, 3, 4, 5, 6, 7, 8]) == 4.5
    assert iqm([-1e9, 2, 3, 4, 5, 6, 7, 1e9]) == 4.5
    assert iqm([7.0]) == 7.0


def test_profile_is_rliables():
    thresholds = [0.0, 0.2, 0.35, 0.7, 1.0, 1.2]
    assert performance_profile(X, thresholds) == pytest.approx([1.0, 0.8, 0.7, 0.3, 0.1, 0.0])


def test_profile_falls_and_its_area_is_the_mean():
    """Scores in [0, 1]: the area under the share above t is the mean score."""
    scores, grid = np.random.default_rng(0).beta(2, 3, 50), np.linspace(0, 1, 4001)
    profile = performance_profile(scores, grid)
    assert (np.diff(profile) <= 0).all()
    assert np.trapezoid(profile, grid) == pytest.approx(scores.mean(), abs=1e-3)


def test_improvement_is_rliables():
    """Its two tasks one by one; rliable shows their mean."""
    assert probability_of_improvement(X[:, 0], Y[:, 0]).estimate == pytest.approx(0.55)
    assert probability_of_improvement(X[:, 1], Y[:, 1]).estimate == pytest.approx(0.625)


def test_improvement_is_mann_whitneys():
    a, b = np.random.default_rng(0).integers(0, 6, 13), np.random.default_rng(1).integers(0, 6, 9)
    u = stats.mannwhitneyu(a, b).statistic
    assert probability_of_improvement(a, b).estimate == pytest.approx(u / (13 * 9))


def test_improvement_interval_solves_newcombes_equation():
    """Fifth method: (theta - p)^2 = z^2 theta (1 - theta) [1 + (N - 1)((1 - theta)/(2 - theta) + theta/(1 + theta))] / (m n)."""
    a, b = np.random.default_rng(3).normal(0.4, 1, 7), np.random.default_rng(4).normal(size=10)
    share, *ends = probability_of_improvement(a, b, 0.9)
    for end in ends:
        spread = end * (1 - end) * (1 + 7.5 * ((1 - end) / (2 - end) + end / (1 + end))) / 70
        assert (end - share) ** 2 == pytest.approx(stats.norm.ppf(0.95) ** 2 * spread, rel=1e-6)


def test_improvement_mirrors_and_stays_inside():
    a, b = [3.0, 4.0, 5.0], [0.0, 1.0, 2.0]
    over, under = probability_of_improvement(a, b), probability_of_improvement(b, a)
    assert (over.estimate, over.high) == (1.0, 1.0)
    assert 0.4 < over.low < 0.7, "three runs each that do not overlap do not prove much"
    assert under == pytest.approx((0.0, 0.0, 1 - over.low))
    assert probability_of_improvement([1, 1], [1, 1]).estimate == 0.5


@pytest.mark.parametrize(("a", "b", "by"), [(5, 5, 0.0), (10, 10, 1.0), (32, 32, 0.5), (10, 10, 3.0)])
def test_improvement_covers(a, b, by):
    truth, rng = stats.norm.cdf(by / np.sqrt(2)), np.random.default_rng(1)
    hits = []
    for _ in range(800):
        found = probability_of_improvement(rng.normal(by, 1, a), rng.normal(0, 1, b))
        hits.append(found.low <= truth <= found.high)
    assert np.mean(hits) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 800)


def test_an_arm_without_runs_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        probability_of_improvement([], [1.0])
