"""The update as a whole: accumulation, invariances, and what each toggle moves."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.support.table_models import (
    B,
    T,
    TableCritic,
    TablePolicy,
    assert_same_update,
    having,
    make_batch,
    run,
    seeded,
)
from vapo_core.functional.losses import clipped_surrogate, kl_k3, nll, sequence_mean, token_mean, value_loss
from vapo_core.recipe import COMPONENTS, Toggles

# --- normalisation over the whole mini-batch ---

ONE_SLICE_CORRECT = torch.arange(B) == 3


@pytest.mark.parametrize("slices", [2, 4, 5, 16])
@pytest.mark.parametrize("toggles", [Toggles(), Toggles(token_level_loss=False)], ids=["token", "sequence"])
@pytest.mark.parametrize("correct", [None, ONE_SLICE_CORRECT, ~ONE_SLICE_CORRECT], ids=["some", "one", "all but one"])
def test_gradient_accumulation_changes_nothing(slices, toggles, correct):
    """A loss normalised per micro-batch multiplies the positive-example loss by their number (seen: exactly x32)."""
    batch = make_batch(correct=correct)
    settings = having(kl_coef=0.3, entropy_coef=0.2, mini_batches=1, epochs=3)
    whole = run(batch, toggles, settings)
    assert_same_update(whole, run(batch, toggles, settings.model_copy(update={"micro_batches": slices})))


@pytest.mark.parametrize(
    "variants", [{"token_level_loss": "constant_mean"}, {"clip_higher": "above_threshold"}], ids=str
)
def test_gradient_accumulation_changes_nothing_in_variants(variants):
    """Named variants must accumulate exactly too."""
    batch = make_batch()
    assert_same_update(
        run(batch, variants=variants, settings=having(epochs=2)),
        run(batch, variants=variants, settings=having(epochs=2, micro_batches=4)),
    )


def test_gradient_accumulation_within_several_mini_batches():
    """Weights must be found anew for every mini-batch, not once for the whole batch."""
    batch = make_batch()
    settings = having(mini_batches=3, epochs=2)
    assert_same_update(
        run(batch, settings=settings), run(batch, settings=having(mini_batches=3, epochs=2, micro_batches=2))
    )


def test_the_losses_are_the_formulas_on_the_whole_batch():
    """The step's policy and value loss must be VAPO's eq. 10-12 and 0.5 (V - R)^2, put together here from parts."""
    batch = make_batch()
    settings = having(kl_coef=0.3, entropy_coef=0.2, value_clip=0.1)
    _, trace, credited = run(batch, settings=settings)
    policy, critic = TablePolicy(), TableCritic()
    logp, entropy = policy(batch)
    surrogate = clipped_surrogate((logp - batch.logp_old).exp(), credited.advantages, 0.2, 0.28)
    loss = token_mean(surrogate, batch.mask) + 0.7 * nll(logp, batch.mask, batch.correct)
    loss = loss + token_mean(0.3 * kl_k3(logp, batch.logp_ref) - 0.2 * entropy, batch.mask)
    fit = token_mean(value_loss(critic(batch), credited.values, credited.targets, 0.1), batch.mask)
    loss.backward()
    fit.backward()
    assert trace.policy_loss == pytest.approx([float(loss.detach())], abs=1e-6)
    assert trace.value_loss == pytest.approx([float(fit.detach())], abs=1e-6)
    assert trace.policy_grad_norm == pytest.approx([float(policy.logits.grad.norm())], rel=1e-6)
    assert trace.critic_grad_norm == pytest.approx([float(critic.table.grad.norm())], rel=1e-6)


def test_the_value_loss_has_one_reduction_in_every_arm():
    """token_level_loss concerns the policy only: with it off the value loss must stay a token mean."""
    batch = make_batch()
    _, trace, credited = run(batch, Toggles(token_level_loss=False))
    per_token = value_loss(credited.values, credited.values, credited.targets)
    assert trace.value_loss == pytest.approx([float(token_mean(per_token, batch.mask))], abs=1e-6)
    assert abs(float(token_mean(per_token, batch.mask) - sequence_mean(per_token, batch.mask))) > 1e-3


# --- invariances ---


def widen(batch, left, right, garbage):
    """The same batch with masked columns of garbage on both sides."""

    def pad(x, fill):
        return nn.functional.pad(x, (left, right), value=fill)

    return replace(
        batch,
        inputs={name: pad(x, 3) for name, x in batch.inputs.items()},
        mask=pad(batch.mask, False),
        logp_old=pad(batch.logp_old, garbage),
        logp_ref=pad(batch.logp_ref, garbage),
    )


@pytest.mark.parametrize(("left", "right"), [(0, 3), (2, 0), (2, 3)])
@pytest.mark.parametrize("token_level", [True, False])
def test_masked_columns_change_nothing(left, right, token_level):
    """Padding must reach neither advantages, whitening, losses nor gradients, although the critic values it."""
    batch, toggles = make_batch(), Toggles(token_level_loss=token_level)
    settings = having(kl_coef=0.3, entropy_coef=0.2, epochs=2)
    one, two = run(batch, toggles, settings), run(widen(batch, left, right, -3.0), toggles, settings)
    assert_same_update(one, two)
    inner = slice(left, left + T)
    torch.testing.assert_close(one[2].advantages, two[2].advantages[:, inner])
    torch.testing.assert_close(one[2].targets, two[2].targets[:, inner])
    for name in ("ratio", "advantages", "low", "high"):
        for a, b in zip(getattr(one[1], name), getattr(two[1], name), strict=True):
            assert a.sort().values.tolist() == pytest.approx(b.sort().values.tolist(), abs=1e-6)


def test_the_order_of_responses_changes_nothing():
    """With one mini-batch a permutation of the rows must leave the update as it is."""
    batch, order = make_batch(), torch.randperm(B, generator=seeded(9))
    settings = having(kl_coef=0.3, epochs=2)
    assert_same_update(run(batch, settings=settings), run(batch.take(order), settings=settings, seed=5))


def test_every_response_is_visited_once_per_epoch():
    """Mini-batches that overlap or leave responses out would reweigh them silently."""
    batch = make_batch()
    trace = run(batch, settings=having(mini_batches=5, epochs=3, policy_lr=0.0))[1]
    tokens = int(batch.mask.sum())
    visited = torch.cat(trace.ratio)
    assert len(trace.policy_loss) == 15
    assert len(visited) == 3 * tokens
    expected = (TablePolicy()(batch)[0].detach() - batch.logp_old).exp()[batch.mask].sort().values
    torch.testing.assert_close(visited.sort().values, expected.repeat_interleave(3))


def test_mini_batches_are_shuffled_by_the_generator_alone():
    """Equal seeds must give equal updates bit for bit, other seeds other mini-batches."""
    batch, settings = make_batch(), having(mini_batches=4)
    one, again, other = (run(batch, settings=settings, seed=s)[0][0] for s in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


# --- toggles ---


def loss_view(seen):
    """Policy weights, critic weights, advantages, targets of an update."""
    (policy, critic), _, credited = seen
    return {"policy": policy, "critic": critic, "advantages": credited.advantages, "targets": credited.targets}


MOVES = {
    "clip_higher": {"policy"},
    "positive_lm_loss": {"policy"},
    "token_level_loss": {"policy"},
    "length_adaptive_gae": {"policy", "advantages"},
    "decoupled_gae": {"critic", "targets"},
    "group_sampling": set(),
    "value_pretraining": set(),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_toggle_moves_what_it_should_and_nothing_else(name):
    """A flag that does nothing, or one that reaches into another quantity, would void its row of the ablation."""
    batch = make_batch()
    on, off = (loss_view(run(batch, Toggles(**{name: flag}))) for flag in (True, False))
    assert {part for part in on if not torch.equal(on[part], off[part])} == MOVES[name]


def test_without_decoupling_the_adaptive_lambda_reaches_the_targets():
    """Coupled, the critic takes the policy's lambda, so length-adaptive GAE must move targets and critic too."""
    batch = make_batch()
    on, off = (loss_view(run(batch, Toggles(decoupled_gae=False, length_adaptive_gae=flag))) for flag in (True, False))
    assert {part for part in on if not torch.equal(on[part], off[part])} == set(on)


def test_lambdas_are_recorded_as_used():
    """What the metrics call lambda must be what made advantages and targets."""
    batch = make_batch()
    credited = run(batch)[2]
    torch.testing.assert_close(credited.lam_policy, (1 - 1 / (0.4 * batch.lengths)).clamp(min=0))
    assert credited.lam_value.tolist() == [1.0] * B
    coupled = run(batch, Toggles(decoupled_gae=False, length_adaptive_gae=False))[2]
    assert coupled.lam_value.tolist() == coupled.lam_policy.tolist() == pytest.approx([0.95] * B)


def test_targets_are_not_whitened():
    """Whitening is for the policy; the critic must regress on rewards in their own unit."""
    batch = make_batch()
    credited = run(batch)[2]
    torch.testing.assert_close(credited.targets, batch.rewards[:, None].expand(B, T).where(batch.mask, 0.0))
    assert float(credited.advantages[batch.mask].mean()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("half", [0, 1])
def test_all_128_combinations_step(half):
    """With critic credit every combination is legal: it must give finite losses and move both tables."""
    batch = make_batch()
    names = tuple(COMPONENTS)
    start = TablePolicy().logits.detach().flatten(), TableCritic().table.detach().flatten()
    seen = set()
    for flags in itertools.product([False, True], repeat=7):
        if flags[0] != bool(half):
            continue
        weights, trace, _ = run(batch, Toggles(**dict(zip(names, flags, strict=True))))
        assert torch.isfinite(torch.tensor(trace.policy_loss + trace.value_loss)).all()
        assert all((after - before).abs().max() > 1e-3 for after, before in zip(weights, start, strict=True))
        seen.add(tuple(torch.cat(weights).tolist()))
    # value_pretraining and group_sampling act outside the update, so 32 updates differ, each in 2 of these 64 runs
    assert len(seen) == 32


@pytest.mark.parametrize("variants", [{"credit": "group_relative", "whiten": "none"}], ids=["grpo"])
def test_group_relative_credit_steps_the_policy_and_leaves_the_critic(variants):
    """Without a critic targets equal values, so the critic's loss is zero and its table stays."""
    weights, trace, _ = run(make_batch(), variants=variants)
    assert trace.value_loss == [0.0]
    assert torch.equal(weights[1], TableCritic().table.detach())
    assert (weights[0] - TablePolicy().logits.detach().flatten()).abs().max() > 1e-3
