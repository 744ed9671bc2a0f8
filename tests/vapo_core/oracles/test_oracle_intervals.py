"""Intervals over prompts: their formula in a case known by hand, and how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from tests.support.simulation.oracle_intervals import SPREAD, Planted, coverage, simulate
from vapo_core.oracles.intervals import above_zero, interval_of, jackknife, resolvable
from vapo_core.oracles.truth import Truth, squared_error, value_variance


def test_jackknife_of_a_mean_is_students_interval_of_cluster_means():
    """Clusters of equal size: the textbook t interval of their means, from scipy."""
    rng = np.random.default_rng(0)
    x, clusters = rng.normal(size=60), np.repeat(np.arange(12), 5)
    found = jackknife(lambda rows: float(x[rows].mean()), clusters, level=0.9)
    means = x.reshape(12, 5).mean(1)
    low, high = stats.t.interval(0.9, 11, loc=means.mean(), scale=means.std(ddof=1) / np.sqrt(12))
    assert found == pytest.approx((x.mean(), low, high))


def test_an_interval_needs_two_prompts():
    with pytest.raises(ValueError, match="at least 2 clusters, got 1"):
        jackknife(lambda rows: 0.0, np.zeros(5))


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_simulated_studies_are_what_they_say(low):
    """Var(V) and the critic's error of a large one are those planted."""
    truth = simulate(Planted(prompts=40_000, low=low), np.random.default_rng(1))
    assert value_variance(truth) == pytest.approx((SPREAD * (1 - low)) ** 2, rel=0.03)
    assert squared_error(truth) == pytest.approx(0.2 * (SPREAD * (1 - low)) ** 2, rel=0.1)  # se 0.026


@pytest.mark.parametrize("planted", [Planted(), Planted(error=0.0), Planted(prompts=16, low=-1.0)], ids=str)
def test_intervals_hold_the_truth_as_often_as_they_say(planted):
    """300 studies: a 95 % interval misses 15 +- 3.8; below 91 % or above 98.5 % it is not one."""
    for share in coverage(planted, repetitions=300, seed=2).values():
        assert 0.91 <= share <= 0.985


def test_intervals_that_ignore_prompts_hold_it_less_often():
    """Twelve places per prompt that err together: counting places as independent must show."""
    planted, rng, held = Planted(places=12, shared=1.0, continuations=64), np.random.default_rng(3), 0
    for _ in range(200):
        truth = simulate(planted, rng)
        found = interval_of(squared_error, truth, np.arange(len(truth.value)))
        held += found.low <= 0.2 * SPREAD**2 <= found.high
    assert held / 200 < 0.75


def seen(v: np.ndarray, k: int, rng: np.random.Generator) -> Truth:
    """Chances seen through K results each; exact for K = 0."""
    number = np.arange(len(v))
    returns = rng.random((len(v), k)) < v[:, None] if k else v[:, None]
    noise = returns.var(axis=1, ddof=1) / k if k else np.zeros(len(v))
    return Truth(number, number, number + 1, v, returns.mean(1), noise)


def test_a_variance_within_its_own_sampling_error_is_not_resolvable():
    """128 places, K = 16, all of V 0.5: nearly half of the studies are above the floor, 1 in 40 clear of 0."""
    rng, clusters = np.random.default_rng(4), np.arange(128) % 64
    flat = [seen(np.full(128, 0.5), 16, rng) for _ in range(300)]
    assert np.mean([value_variance(truth) > 1e-4 for truth in flat]) > 0.3
    assert np.mean([resolvable(truth, clusters) for truth in flat]) < 0.05
    spread = [seen(rng.uniform(0.2, 0.8, 128), 16, rng) for _ in range(50)]
    assert all(resolvable(truth, clusters) for truth in spread)
    assert not resolvable(spread[0], np.zeros(128))  # one prompt: no interval


def test_exact_values_need_only_the_floor():
    rng = np.random.default_rng(5)
    assert resolvable(seen(np.array([0.4, 0.6]), 0, rng), np.zeros(2))
    assert not resolvable(seen(np.array([0.5, 0.501]), 0, rng), np.zeros(2))


def test_above_zero_by_hand():
    """Means 1, 2, 3 of three prompts: 2 +- 4.30 / sqrt(3); 11, 12, 13 are clear of 0."""
    x = np.array([1.0, 2.0, 3.0])
    assert not above_zero(lambda rows: float(x[rows].mean()), np.arange(3))
    assert above_zero(lambda rows: float(x[rows].mean() + 10), np.arange(3))
    assert not above_zero(lambda rows: 1.0, np.zeros(3))
