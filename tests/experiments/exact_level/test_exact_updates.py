"""What single updates at the exact level report, against the problem's own tables and torch's optimiser."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.exact_level import updates
from experiments.exact_level.family import member
from experiments.exact_level.plans import Error, Updates


def drawn(**fields):
    """(problem, logits, error) of responses of up to eight tokens."""
    base = {
        "measure": "updates",
        "lengths": (4,),
        "variable": True,
        "spare": 2.0,
        "error": Error(kind="none", size=0.0),
    }
    plan = Updates.model_validate({**base, **fields})
    found = member(plan, plan.lengths[0], 0)
    return updates.EnumeratedProblem.of(found.mdp, plan), np.log(found.mdp.policy), found.error


def moved(problem, logits, error, size=0.3):
    """(batch, what `compare` says, table of policies before, after) for a step in a random direction."""
    after = logits + size * np.random.default_rng(0).normal(size=logits.shape)
    batch = problem.batch(logits, error)
    policies = [np.exp(x) / np.exp(x).sum(2, keepdims=True) for x in (logits, after)]
    return batch, problem.compare(batch, logits, after), *policies


def test_surrogate_shift_and_total_variation_are_those_of_the_tables():
    """Sums over places of the problem, not over responses: E sum_t sum_a (pi' - pi) A, and the mean distance of policies."""
    problem, logits, error = drawn()
    _, said, before, after = moved(problem, logits, error)
    mdp = replace(problem.mdp, policy=before)
    true = mdp.action_values - mdp.values[:-1][:, :, None]
    gain = float((mdp.occupancy[:, :, None] * (after - before) * true).sum())
    assert said["surrogate"] == pytest.approx(gain, abs=1e-12)
    change = replace(mdp, policy=after).expected_return - mdp.expected_return
    assert said["delta_j"] == pytest.approx(change, abs=1e-12)
    assert said["shift"] == pytest.approx(change - gain, abs=1e-12)
    apart = (mdp.occupancy * np.abs(after - before).sum(2) / 2).sum() / mdp.occupancy.sum()
    assert said["tv"] == pytest.approx(float(apart), abs=1e-12)


def test_the_bound_is_r8s_for_the_widest_ratios_seen():
    """2 l (l - 1) TV^2 max|A|, TV = low high / (low + high) for ratios in [1 - low, 1 + high] where there are tokens."""
    problem, logits, error = drawn()
    batch, said, before, after = moved(problem, logits, error)
    mask = problem.responses.mask
    ratio = (after / before).ravel()[problem.token][mask]
    low, high = 1 - ratio.min(), ratio.max() - 1
    length = problem.responses.length.max()
    tv = low * high / (low + high)
    assert said["bound"] == pytest.approx(2 * length * (length - 1) * tv**2 * np.abs(batch.true[mask]).max())
    assert abs(said["shift"]) <= said["bound"]


@pytest.mark.parametrize("reduction", ["token_mean", "sequence_mean"])
def test_weights_of_tokens(reduction):
    """Token mean: all tokens alike, so a response counts by its length; sequence mean: all responses alike."""
    problem, logits, error = drawn(reduction=reduction)
    batch = problem.batch(logits, error)
    policy, positive = problem.weights(batch)
    length, right = problem.responses.length, problem.responses.reward == 1
    share = batch.chance * (length / (batch.chance @ length) if reduction == "token_mean" else 1.0)
    np.testing.assert_allclose(policy.sum(0), share, atol=1e-12)
    inside = policy[problem.responses.mask]
    assert (inside > 0).all()
    assert not policy[~problem.responses.mask].any()
    np.testing.assert_allclose(positive.sum(), problem.plan.mu)
    np.testing.assert_allclose(
        positive.sum(0)[right], problem.plan.mu * (batch.chance * length)[right] / (batch.chance * length)[right].sum()
    )
    assert not positive[:, ~right].any()


def test_adam_is_torchs():
    rng, weights = np.random.default_rng(0), torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    theirs, ours, own = (
        torch.optim.Adam([weights], lr=0.05, maximize=True),
        updates.Adam(0.05, (2, 3)),
        np.zeros((2, 3)),
    )
    for _ in range(20):
        gradient = rng.normal(size=(2, 3)) + 0.3
        weights.grad = torch.from_numpy(gradient)
        theirs.step()
        own = own + ours.step(gradient)
    np.testing.assert_allclose(own, weights.detach().numpy(), rtol=1e-6)
