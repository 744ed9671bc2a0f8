"""R6 at the exact level: its formula at hand-made lengths, and the correlation it needs, token by token."""

import numpy as np
import pytest

from experiments.exact_level import reductions
from experiments.exact_level.family import member
from experiments.exact_level.plans import Error, Reductions
from vapo_core.oracles.responses import sampled

LENGTHS, CHANCE = np.array([2.0, 6.0]), np.array([0.5, 0.5])
"""Mean 4, mean inverse 1/3, CV^2 1/4."""


def row(rho=0.0, chance=CHANCE, tokens=LENGTHS, spread=(3.0, 2.0)):
    truth = np.array([1.0, 0.0])
    means = (np.array([2.0, 0.0]), np.array([3.0, 4.0]))
    return reductions._row(means, spread, truth, 8, rho, chance, tokens)


@pytest.mark.parametrize(("rho", "ratio"), [(0.0, 3 / 4), (1.0, 5 / 4), (0.5, (1 / 8 + 5 / 8) / (1 / 6 + 1 / 2))])
def test_r6s_formula_by_hand(rho, ratio):
    assert row(rho)["log_formula"] == pytest.approx(np.log(ratio))


def test_equal_lengths_leave_one_reduction():
    for rho in (0.0, 0.3, 1.0):
        assert row(rho, np.array([1.0]), np.array([5.0]))["log_formula"] == pytest.approx(0)


def test_quality_and_spreads_by_hand():
    """Token mean (2, 0) lies along grad J: Q = 4 / (4 + 3/8). Sequence mean (3, 4) has cosine 0.6: Q = 9 / (25 + 2/8)."""
    found = row()
    assert found["cos_token"] == pytest.approx(1)
    assert found["cos_sequence"] == pytest.approx(0.6)
    assert found["log_quality"] == pytest.approx(np.log((4 / (4 + 3 / 8)) / (9 / (25 + 2 / 8))))
    assert found["log_noise"] == pytest.approx(np.log((3 / 4) / (2 / 9)))
    assert found["cv"] == pytest.approx(0.5)


def test_rho_is_the_mean_product_of_two_tokens_over_the_mean_square_of_one():
    """By loops over responses and pairs of their tokens, each token's gradient written out from score and advantage."""
    plan = Reductions.model_validate(
        {
            "measure": "reductions",
            "shared": True,
            "samples": 1000,
            "lengths": (6,),
            "error": Error(kind="none", size=0.0),
        }
    )
    mdp = reductions.tied(member(plan, 6, 0).mdp)
    critic, lam = mdp.values.copy(), 0.9
    responses = sampled(mdp, 1000, np.random.default_rng([0, mdp.shape[0], 3]))
    pairs, squares, number, tokens = 0.0, 0.0, 0, 0
    for i, length in enumerate(responses.length):
        states, actions = responses.states[:length, i], responses.actions[:length, i]
        values = np.append(critic[np.arange(length), states], 0.0)
        delta = np.diff(values) + responses.reward[i] * (np.arange(length) == length - 1)
        gradients = np.zeros((length, *mdp.shape[1:]))
        for t in range(length):
            advantage = sum(lam**k * delta[t + k] for k in range(length - t))
            gradients[t, states[t]] = -mdp.policy[0, states[t]] * advantage
            gradients[t, states[t], actions[t]] += advantage
        products = np.einsum("tsa,usa->tu", gradients, gradients)
        pairs += products.sum() - products.trace()
        squares += products.trace()
        number, tokens = number + length * (length - 1), tokens + length
    want = (pairs / number) / (squares / tokens)
    assert reductions._simulated(plan, mdp, critic, lam, 0)["rho"] == pytest.approx(want, rel=1e-9)
