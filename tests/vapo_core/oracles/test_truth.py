"""Estimators on places with noise, against planted truth and numbers by hand."""

import numpy as np
import pytest

from vapo_core.oracles.truth import (
    Truth,
    calibration_error,
    calibration_line,
    position_variance,
    squared_error,
    unexplained,
    value_variance,
)


def places(critic: np.ndarray, returns: np.ndarray, time: np.ndarray | None = None) -> Truth:
    """Truth read through K returns per place."""
    time = np.zeros(len(critic), int) if time is None else time
    noise = returns.var(axis=1, ddof=1) / returns.shape[1]
    return Truth(np.arange(len(critic)), time, np.full(len(critic), 8), critic, returns.mean(1), noise)


def flips(p: np.ndarray, k: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """[N, K] results that are `high` with probability p."""
    return np.where(rng.random((len(p), k)) < p[:, None], high, low)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("k", [2, 16])
def test_squared_error_is_unbiased_for_any_reward_values(low, high, k):
    """A critic with known error reads that error, not error plus continuation noise."""
    rng = np.random.default_rng(0)
    p = rng.beta(1, 3, size=40_000)
    returns, truth = flips(p, k, low, high, rng), low + (high - low) * p
    critic = truth + rng.normal(0, 0.2, len(p))
    assert squared_error(places(critic, returns)) == pytest.approx(0.04, abs=0.003 * (high - low))
    assert squared_error(places(truth, returns)) == pytest.approx(0.0, abs=0.003 * (high - low))


def test_squared_error_of_minus_one_plus_one_rewards_by_hand():
    """METHODS.md section 3: the 0/1 shortcut reads 0.098 for a true 0.032 with -1/+1 rewards; ours must not."""
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, 60_000)
    critic = 2 * p - 1 + rng.normal(0, np.sqrt(0.032), len(p))
    assert squared_error(places(critic, flips(p, 16, -1.0, 1.0, rng))) == pytest.approx(0.032, abs=0.002)


def test_squared_error_by_hand():
    """Returns 0, 1 and 1, 1: V_mc 0.5 and 1, s^2 / K = 0.5 / 2 and 0; critic 0.5 and 0.5: (0 - 0.25 + 0.25 - 0) / 2."""
    assert squared_error(places(np.array([0.5, 0.5]), np.array([[0.0, 1.0], [1.0, 1.0]]))) == 0.0


@pytest.mark.parametrize(("share", "k"), [(0.2, 4), (0.2, 16), (0.0, 16)])
def test_planted_shares_of_the_variance_read_as_planted(share, k):
    """METHODS.md h1a's controls: V plus an error of 0.2 Var(V) reads 0.20, exact V seen through K returns reads 0."""
    rng = np.random.default_rng(2)
    time = rng.integers(8, size=150_000)
    v = rng.uniform(0.1, 0.6, len(time)) + 0.04 * time
    critic = v + rng.normal(0, np.sqrt(share * v.var()), len(v))
    truth = places(critic, flips(v, k, 0.0, 1.0, rng), time)
    assert unexplained(truth) == pytest.approx(share, abs=0.02)
    assert np.mean((critic - truth.value) ** 2) / truth.value.var() > share + 0.05  # the plain ratio is wrong
    assert value_variance(truth) == pytest.approx(v.var(), rel=0.02)
    inside = np.mean([v[time == t].var() for t in range(8)])
    assert position_variance(truth) == pytest.approx(inside, rel=0.03)


@pytest.mark.parametrize("k", [2, 16])
def test_calibration_line_is_not_bent_by_continuation_noise(k):
    """V = 0.1 + 0.5 V_hat: slope 0.5 and intercept 0.1 at any K, since the noise is in the response."""
    rng = np.random.default_rng(3)
    critic = rng.uniform(0, 1, 40_000)
    slope, intercept = calibration_line(places(critic, flips(0.1 + 0.5 * critic, k, 0.0, 1.0, rng)))
    assert slope == pytest.approx(0.5, abs=0.02)
    assert intercept == pytest.approx(0.1, abs=0.01)


def test_calibration_line_by_hand():
    """V_hat 0, 1, 2 and V 1, 1, 4: slope 3 / 2, intercept 2 - 1.5."""
    exact = Truth(
        np.arange(3), np.zeros(3), np.ones(3), np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0]), np.zeros(3)
    )
    assert calibration_line(exact) == pytest.approx((1.5, 0.5))


def test_calibration_error_is_what_relabelling_would_mend_and_nothing_else():
    """A constant shift of 0.1 costs 0.01; noise of the critic that its own value cannot reveal costs nothing."""
    rng = np.random.default_rng(4)
    critic = rng.uniform(0.2, 0.6, 40_000)
    v = critic + rng.choice([-0.15, 0.15], len(critic))
    cluster = np.arange(len(critic))
    assert calibration_error(places(critic, flips(v, 4, 0.0, 1.0, rng)), cluster) == pytest.approx(0.0, abs=3e-4)
    shifted = places(critic + 0.1, flips(v, 4, 0.0, 1.0, rng))
    assert calibration_error(shifted, cluster) == pytest.approx(0.01, rel=0.1)
    assert squared_error(shifted) == pytest.approx(0.01 + 0.15**2, rel=0.05)


def test_calibration_error_is_unbiased_when_places_of_a_prompt_err_together():
    """20 prompts, each with one error shared by its 30 places: a plain debiasing by s^2 / n would see miscalibration."""
    rng, found, plain = np.random.default_rng(5), [], []
    for _ in range(400):
        cluster = np.repeat(np.arange(20), 30)
        critic = rng.uniform(0, 1, 600)
        v = critic + rng.normal(0, 0.2, 20)[cluster]
        exact = Truth(cluster, cluster, np.full(600, 8), critic, v, np.zeros(600))
        found.append(calibration_error(exact, cluster))
        plain.append(calibration_error(exact, np.arange(600)))
    assert np.mean(found) == pytest.approx(0.0, abs=4 * np.std(found) / 20)
    assert np.mean(plain) > 0.001
