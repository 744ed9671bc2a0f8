"""The profile of lambda against exact moments, the limits theory names, and noise that must not show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.full_table import action_table, exact_values
from tests.support.worlds import view_of
from vapo_core.oracles.tabular import TabularMDP, by_length, constant_lambda
from vapo_core.oracles.tabular import adaptive as tabular_adaptive
from vapo_core.oracles.true_advantage import true_advantages
from vapo_core.probes import PROBES, CannotRun, lambda_profile
from vapo_core.probes.lambda_profile import (
    ALPHAS,
    LAMBDAS,
    Moments,
    Rules,
    _of_rules,
    _quality,
    chosen_elsewhere,
    gradient_moments,
    horizon,
)
from vapo_core.tasks.walk import ACTIONS, STOP
from vapo_core.training.collect import pad_to
from vapo_core.types import Batch


class TablePolicy(torch.nn.Module):
    """A logit for every decision, state and action of the walk: what the exact oracle is about."""

    def __init__(self, policy, horizon, states):
        super().__init__()
        grid = torch.arange(states).repeat(horizon), torch.arange(horizon).repeat_interleave(states)
        with torch.no_grad():
            self.logits = torch.nn.Parameter(policy.log_probs(*grid).view(horizon, states, ACTIONS).clone())

    def log_probs(self, state, decision):
        return torch.log_softmax(self.logits[decision, state], dim=-1)

    def forward(self, batch):
        rows = self.log_probs(batch.inputs["state"], batch.inputs["decision"])
        logp = rows.gather(2, batch.inputs["action"][:, :, None]).squeeze(2)
        return logp.where(batch.mask, 0.0), torch.zeros(batch.mask.shape)


class TableCritic(torch.nn.Module):
    """Values from a table [horizon + 1, states]."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def forward(self, batch):
        return self.values[batch.inputs["decision"], batch.inputs["state"]].where(batch.mask, 0.0)


def tabular_view(cache, error):
    """A walk whose policy is a table and whose critic is exact but for a frozen error of this size by state."""
    view = view_of("walk", cache, "ppo", dials={"size": 8, "horizon": 8}, numbers={"responses_per_step": 64})
    world = view.world
    world.policy = TablePolicy(world.policy, world.task.dials.horizon, world.task.states)
    world.engine.policy = world.policy
    values = exact_values(world).detach()
    noise = error * torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
    world.critic = TableCritic(values + noise.where(torch.arange(len(values))[:, None] < len(values) - 1, 0.0))
    return view


def as_mdp(view):
    """The same walk for the exact oracle."""
    task = view.world.task
    shape = (task.dials.horizon, task.states, ACTIONS)
    ends = np.zeros(shape, bool)
    ends[:, :, STOP] = ends[-1] = True
    reward = np.zeros(shape)
    reward[:, :, STOP] = task.stop_reward
    start = np.zeros(task.states)
    np.add.at(start, [task.start_state(p.answer) for p in view.pool], 1 / len(view.pool))
    policy = action_table(view.world).detach().double().numpy()
    return TabularMDP(np.broadcast_to(task.transitions, shape), ends, reward, policy, start)


def test_quality_agrees_with_exact_moments(cache, monkeypatch):
    """Independent reference: dynamic programming over the same walk, one logit per state, frozen critic error of 0.2."""
    monkeypatch.setattr(lambda_profile, "GROUPS", 256)
    view = tabular_view(cache, 0.2)
    mdp, critic = as_mdp(view), view.world.critic.values.double().numpy()
    metrics, found = (measurement := PROBES["lambda_profile"](view)).metrics, measurement.arrays
    measured = Moments(*(found[name][: len(LAMBDAS)] for name in Moments._fields))
    exact = [constant_lambda(mdp, critic, lam) for lam in LAMBDAS]
    np.testing.assert_allclose(measured.trace, [m.variance() for m in exact], rtol=0.05)
    np.testing.assert_allclose(measured.square, [(m.mean**2).sum() for m in exact], rtol=0.15, atol=0.002)
    for batch in (1, 64, 1024):
        expected = [m.quality(mdp.gradient, batch) for m in exact]
        np.testing.assert_allclose(measured.quality(batch), expected, rtol=0.15, atol=0.02)
    own = by_length(mdp, critic, np.full(mdp.shape[0] + 1, view.settings.fixed_lambda))
    assert found["trace"][-1] == pytest.approx(own.variance(), rel=0.05)
    quality = [m.quality(mdp.gradient, 64) for m in exact]
    assert metrics["lambda_profile/quality_own"] == pytest.approx(own.quality(mdp.gradient, 64), rel=0.1)
    assert metrics["lambda_profile/quality_constant"] == pytest.approx(max(quality), rel=0.1)
    alphas = [by_length(mdp, critic, tabular_adaptive(a, mdp.shape[0])).quality(mdp.gradient, 64) for a in ALPHAS]
    assert metrics["lambda_profile/quality_adaptive"] == pytest.approx(max(alphas), rel=0.1)
    assert metrics["lambda_profile/alpha_quality"] in np.array(ALPHAS)[np.array(alphas) > 0.9 * max(alphas)]


def test_exact_critic_wants_lambda_0(cache):
    """R3: no error at all at lambda 0, the best horizon is one token at every length, and the best Q stands there."""
    view = tabular_view(cache, 0.0)
    found = PROBES["lambda_profile"](view)
    zero = (found.arrays["kind"] == 0) & (found.arrays["setting"] == 0)
    np.testing.assert_allclose(found.arrays["mse"][zero], 0, atol=1e-12)
    assert (found.arrays["mse"][~zero & (found.arrays["setting"] > 0.4)] > 0).all()
    horizons = [x for name, x in found.metrics.items() if name.startswith("lambda_profile/horizon_")]
    assert len(horizons) >= 3
    assert set(horizons) == {1.0}
    assert found.metrics["lambda_profile/mse_constant"] == pytest.approx(0, abs=1e-12)
    assert found.metrics["lambda_profile/quality_constant"] > found.metrics["lambda_profile/quality_own"]


def test_blind_critic_wants_lambda_1_for_a_large_batch(cache):
    """R1: without bias at lambda 1 alone, so there Q tends to 1; with short horizons it stays below at any batch."""
    view = tabular_view(cache, 0.0)
    view.world.critic = TableCritic(torch.full_like(view.world.critic.values, 0.3))
    found = PROBES["lambda_profile"](
        replace(view, settings=view.settings.model_copy(update={"responses_per_step": 10**6}))
    )
    assert found.metrics["lambda_profile/horizon_quality"] > 3
    last = list(LAMBDAS).index(1.0)
    ratio = found.arrays["signal"] / found.arrays["square"]
    assert ratio[last] == pytest.approx(1, abs=0.05)
    assert ratio[0] < 0.9


def test_mse_is_that_of_the_advantages_by_hand(cache):
    """At lambda 1 the advantage is R - V_hat(t), and the truth V(t+1) - V(t), for all tokens but the last."""
    view = tabular_view(cache, 0.2)
    found = PROBES["lambda_profile"](view).arrays
    problems, rollout, batch, _ = lambda_profile._sample(view, exact=True)
    values, critic = exact_values(view.world).detach(), view.world.critic(batch)
    total, count = 0.0, 0
    for i, length in enumerate(batch.lengths.tolist()):
        state, decision = rollout.inputs["state"][i], rollout.inputs["decision"][i]
        for t in range(length - 1):
            truth = values[decision[t + 1], state[t + 1]] - values[decision[t], state[t]]
            total += float(batch.rewards[i] - critic[i, t] - truth) ** 2
            count += 1
    inside = (found["kind"] == 0) & (found["setting"] == 1.0)
    assert found["mse"][inside].min() <= total / count <= found["mse"][inside].max()
    row = np.repeat(np.arange(len(problems)), (batch.lengths - 1).numpy())
    _, squared = lambda_profile._squared_errors(
        view, problems, rollout, (batch.rewards[:, None] - critic).where(batch.mask, 0.0)[None]
    )
    assert len(row) == squared.shape[1]
    assert squared.mean() == pytest.approx(total / count, rel=1e-5)


def test_sampled_truth_gives_the_same_error_on_average(cache, monkeypatch):
    """Noise of the continuations is taken off: 4 per value give the exact answer; left in, they would not."""
    view = tabular_view(cache, 0.2)
    problems, rollout, batch, _ = lambda_profile._sample(view, exact=True)
    advantages = (batch.rewards[:, None] - view.world.critic(batch)).where(batch.mask, 0.0)[None]
    _, exact = lambda_profile._squared_errors(view, problems, rollout, advantages)
    monkeypatch.setattr(view.world, "exact_at", lambda *_: None)
    monkeypatch.setattr(lambda_profile, "PLACES", 10**6)
    monkeypatch.setattr(lambda_profile, "CONTINUATIONS", 4)
    _, sampled = lambda_profile._squared_errors(view, problems, rollout, advantages)
    noise = true_advantages(view.world, rollout, problems, 10**6, 4, view.seed("lambda_profile/truth")).noise
    error = (sampled - exact).std() / np.sqrt(exact.size)
    assert abs(float((sampled - exact).mean())) < 4 * error
    assert noise.mean() > 6 * error


def test_moments_are_unbiased_where_plain_squares_are_not():
    rng = np.random.default_rng(0)
    mean, truth = np.array([0.3, 0.0, 0.1, 0.0]), np.array([2.0, 0.0, 0.0, 0.0])
    groups = mean + rng.normal(0, 0.5, size=(1, 40_000, 8, 4))
    found = [gradient_moments(groups[:, i], truth, size=5) for i in range(groups.shape[1])]
    signal, square, trace = (np.mean([getattr(m, name) for m in found]) for name in Moments._fields)
    assert signal == pytest.approx(0.09, abs=0.005)
    assert square == pytest.approx(0.10, abs=0.005)
    assert trace == pytest.approx(5 * 4 * 0.25, rel=0.01)
    assert (groups.mean(2) ** 2).sum(-1).mean() > 0.2
    assert Moments(*(np.array([x]) for x in (0.09, 0.1, 5.0))).quality(50)[0] == pytest.approx(0.09 / 0.2)


def test_quality_that_cannot_be_resolved_is_left_out():
    """Gradients that are noise around 0 have moments for the table and no Q; clear ones have both."""
    rules = Rules(np.array([0, 1, 2]), np.array([0.5, 0.4, 0.5]), torch.zeros(3, 1))
    noise = np.random.default_rng(1).normal(size=(3, 32, 50))
    truth, lengths = np.eye(50)[0], torch.tensor([4, 6])
    metrics, moments = _quality(rules, noise, truth, 8, 64, lengths)
    assert metrics == {}
    assert (moments.trace > 0).all()
    metrics, _ = _quality(rules, noise + 2 * truth, truth, 8, 64, lengths)
    assert metrics["lambda_profile/horizon_quality"] == horizon(0.5, 5.0)
    assert 0 < metrics["lambda_profile/quality_own"] < 1


def test_group_gradients_add_up_to_the_batch_gradient(cache):
    view = view_of("walk", cache)
    _, _, batch, size = lambda_profile._sample(view, exact=True)
    advantages = torch.randn(2, *batch.mask.shape, generator=torch.Generator().manual_seed(0)) * batch.mask
    found = lambda_profile._group_gradients(view.world.policy, batch, advantages, size).mean(1)
    parameters = list(view.world.policy.parameters())
    for row, a in zip(found, advantages, strict=True):
        whole = torch.autograd.grad((a * view.world.policy(batch)[0]).sum() / len(batch.mask), parameters)
        np.testing.assert_allclose(row, torch.cat([g.flatten() for g in whole]).double().numpy(), atol=1e-5)


def test_horizon_and_selection_by_hand():
    assert horizon(0.0, 7.0) == 1
    assert horizon(1.0, 7.0) == 7
    assert horizon(0.5, 3.0) == pytest.approx(1.75)
    assert horizon(0.9, 1000.0) == pytest.approx(10)
    assert chosen_elsewhere(np.array([[1.0, 2.0, 3.0], [5.0, 4.0, 6.0]])) == (5.0 + 2.0) / 2


@pytest.mark.parametrize(("sign", "constant", "adaptive"), [(1.0, 2.0, 0.5), (-1.0, 3.0, 4.0)])
def test_best_of_each_kind_is_chosen_within_its_kind(sign, constant, adaptive):
    """Two constants, two alphas and the own rule on two halves; sign -1 where more is better."""
    rules = Rules(np.array([0, 0, 1, 1, 2]), np.zeros(5), torch.zeros(5, 1))
    halves = np.array([[2.0, 3.0, 1.0, 4.0, 7.0], [2.0, 3.0, 0.0, 4.0, 8.0]])
    found = _of_rules("x", rules, halves, sign)
    assert found == {
        "lambda_profile/x_own": 7.5, "lambda_profile/x_constant": constant, "lambda_profile/x_adaptive": adaptive,
    }  # fmt: skip


def test_selection_does_not_flatter_the_best_of_equals():
    """METHODS.md section 1: the best of 9 equal settings looks better than it is, unless it is scored elsewhere."""
    loss = np.random.default_rng(0).normal(size=(4000, 2, 9))
    assert np.mean([chosen_elsewhere(x) for x in loss]) == pytest.approx(0, abs=0.05)
    assert loss.mean(1).min(1).mean() < -0.9


def test_padding_changes_nothing(cache):
    """The advantages of every rule come out the same with masked columns behind."""
    view = view_of("walk", cache)
    rollout = view.world.engine.generate(view.pool[:8], 4, 1)
    batch = Batch.ungraded(rollout)
    wide = pad_to(batch, batch.mask.shape[1] + 5, 0)
    advantages = torch.ones(1, *batch.mask.shape) * batch.mask
    padded = torch.nn.functional.pad(advantages, (0, 5))
    plain, other = (
        lambda_profile._group_gradients(view.world.policy, b, a, 8) for b, a in ((batch, advantages), (wide, padded))
    )
    np.testing.assert_allclose(plain, other, atol=1e-6)


def test_it_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["lambda_profile"](view_of("walk", cache, "grpo"))


def test_text_has_errors_by_length_and_no_quality(cache):
    found = PROBES["lambda_profile"](view_of("lm", cache))
    assert "lambda_profile/mse_own" in found.metrics
    assert not [name for name in found.metrics if "quality" in name]
    assert "signal" not in found.arrays
