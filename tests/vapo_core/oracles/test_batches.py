"""Moments of tied batches: the three methods agree where they overlap, and the delta method's order is what it says."""

import numpy as np
import pytest

from vapo_core.oracles.batches import (
    enumerated,
    group_standing,
    plain_token_mean,
    simulated,
    token_mean,
    whitened_token_mean,
)
from vapo_core.oracles.instances import InstanceDials, critic_with_error, reasoning_mdp
from vapo_core.oracles.responses import listed
from vapo_core.oracles.tabular import TabularMDP, adaptive, constant_lambda

TINY = InstanceDials(horizon=3, branching=2, situations=1, stop=0.3, fatal=0.2)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    instance = reasoning_mdp(TINY, rng)
    return instance.mdp, critic_with_error(instance, "state", 0.2, rng)


def test_every_response_is_listed_once(small):
    mdp, _ = small
    responses, chance = listed(mdp)
    assert chance.sum() == pytest.approx(1, abs=1e-12)
    assert chance @ responses.reward == pytest.approx(mdp.expected_return, abs=1e-12)
    assert np.bincount(responses.length, chance, 4) == pytest.approx(mdp.length_probabilities, abs=1e-12)


def test_simulation_equals_enumeration(small):
    """Pairs of responses, whitened: simulated moments lie within 4 standard errors of the exact ones."""
    mdp, critic = small
    credit = whitened_token_mean(critic, adaptive(0.5, 3))
    exact = enumerated(mdp, credit, 2)
    found = simulated(mdp, credit, 2, 4000, np.random.default_rng(0))
    assert (exact.method, found.method) == ("enumeration", "simulation")
    assert abs(found.square - exact.square) < 4 * found.square_se
    spread = np.sqrt(exact.square / 4000)
    assert np.abs(found.mean - exact.mean).max() < 4 * spread


def test_the_delta_method_is_exact_to_the_second_order(small):
    """Against enumeration its error falls about as 1 / B^2; at B = 64 simulation cannot tell them apart."""
    mdp, critic = small
    lam = np.full(4, 0.7)
    credit = plain_token_mean(critic, lam)
    gaps = []
    for batch in (2, 3):
        exact, delta = enumerated(mdp, credit, batch), token_mean(mdp, critic, lam, batch)
        assert delta.method == "delta method"
        gaps.append(np.linalg.norm(delta.mean - exact.mean) / np.linalg.norm(exact.mean))
    assert gaps[1] < gaps[0] * (2 / 3) ** 1.5
    found, delta = simulated(mdp, credit, 64, 3000, np.random.default_rng(1)), token_mean(mdp, critic, lam, 64)
    assert abs(found.square - delta.square) < 4 * found.square_se


def test_equal_lengths_leave_the_delta_method_nothing_to_correct():
    rng = np.random.default_rng(4)
    instance = reasoning_mdp(InstanceDials(horizon=5, branching=2, situations=2), rng)
    critic = critic_with_error(instance, "state", 0.2, rng)
    delta, plain = token_mean(instance.mdp, critic, np.full(6, 0.9), 16), constant_lambda(instance.mdp, critic, 0.9)
    assert delta.mean == pytest.approx(plain.mean / 5, abs=1e-12)
    assert delta.square == pytest.approx(((plain.mean / 5) ** 2).sum() + plain.variance() / (16 * 25), rel=1e-9)


def test_token_mean_tends_to_the_true_direction(small):
    """R5: at lambda 1, as the batch grows."""
    mdp, critic = small
    ones = np.ones(4)
    biases = [token_mean(mdp, critic, ones, batch).bias(mdp.gradient) for batch in (4, 64, 10**6)]
    assert biases[0] > biases[1] > biases[2]
    assert biases[2] < 1e-5
    assert token_mean(mdp, critic, ones, 10**9).quality(mdp.gradient) == pytest.approx(1, abs=1e-6)


def test_group_std_bends_the_direction_between_prompts():
    """R13: prompts solved with 0.05, 0.5, 0.9 get weights sqrt(p (1 - p)) for p (1 - p) as groups grow: cosine 0.966."""
    right = np.array([0.05, 0.5, 0.9])
    policy = np.stack([right, 1 - right], axis=1)[None]
    reward = np.zeros((1, 3, 2))
    reward[:, :, 0] = 1.0
    mdp = TabularMDP(np.zeros((1, 3, 2), int), np.ones((1, 3, 2), bool), reward, policy, np.full(3, 1 / 3))
    found = simulated(mdp, group_standing(64), 192, 3000, np.random.default_rng(5), each=64)
    assert found.method == "simulation"
    assert np.sqrt(1 - found.bias(mdp.gradient) ** 2) == pytest.approx(0.966, abs=0.012)
