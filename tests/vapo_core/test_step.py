"""The update as a whole, on a policy and a critic small enough to check by hand: tables over token ids, in doubles."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from vapo_core.learner import Learner, rate_factor
from vapo_core.losses import clipped_surrogate, kl_k3, nll, sequence_mean, token_mean, value_loss
from vapo_core.recipe import COMPONENTS, Settings, Toggles, assemble
from vapo_core.step import Diverged, assign_credit, update
from vapo_core.types import Batch, Credited

VOCABULARY, T, B = 5, 7, 16
BASE = Settings(
    responses_per_step=B,
    group_size=4,
    mini_batches=1,
    policy_lr=0.05,
    critic_lr=0.05,
    alpha=0.4,
    mu=0.7,
    max_grad_norm=1e9,
)


class TablePolicy(nn.Module):
    """Logits of the next token by present token; padding is read like any other token, so a leak would show."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY, generator=seeded(1), dtype=torch.float64))

    def forward(self, batch):
        rows = torch.log_softmax(self.logits[batch.inputs["seen"]], -1)
        logp = rows.gather(2, batch.inputs["next"][:, :, None]).squeeze(2)
        return logp, -(rows.exp() * rows).sum(2)


class TableCritic(nn.Module):
    """Value by present token."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(VOCABULARY, generator=seeded(2), dtype=torch.float64))

    def forward(self, batch):
        return self.table[batch.inputs["seen"]]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def make_batch(seed=0, correct=None, drift=0.3):
    """B responses of 2 to T tokens; `drift` moves the sampling policy away, so that ratios leave 1 and clips act."""
    g = seeded(seed)
    inputs = {name: torch.randint(VOCABULARY, (B, T), generator=g) for name in ("seen", "next")}
    mask = torch.arange(T) < torch.randint(2, T + 1, (B, 1), generator=g)
    correct = torch.rand(B, generator=g) < 0.4 if correct is None else correct
    each = torch.arange(T).expand(B, T)
    zeros = torch.zeros(B, T)
    batch = Batch(inputs, mask, zeros, zeros, correct.double(), correct, torch.arange(B) // 4, each)
    logp = TablePolicy()(batch)[0].detach()
    noise = torch.randn(B, T, generator=g, dtype=torch.float64)
    return replace(batch, logp_old=(logp + drift * noise).where(mask, 0.0), logp_ref=(logp - 0.2).where(mask, 0.0))


def run(batch, toggles=None, settings=BASE, variants=None, policy=None, critic=None, seed=0):
    """One update from fresh tables; returns everything that may have moved."""
    recipe = assemble(toggles or Toggles(), settings, variants)
    learners = [
        Learner(policy or TablePolicy(), settings.policy_lr, settings, 10),
        Learner(critic or TableCritic(), settings.critic_lr, settings, 10),
    ]
    with torch.no_grad():
        values = learners[1].module(batch)
    credited = assign_credit(batch, values, recipe)
    trace = update(batch, credited, recipe, settings, *learners, seeded(seed))
    weights = [torch.cat([p.detach().flatten() for p in learner.module.parameters()]) for learner in learners]
    return weights, trace, credited


def having(**changes):
    return BASE.model_copy(update=changes)


def assert_same_update(one, two, tolerance=1e-9):
    """Weights, losses and gradient norms: Adam hides a wrong scale of the gradient, the norms do not."""
    for a, b in zip(one[0], two[0], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=max(tolerance, 1e-6))
    for name in ("policy_loss", "value_loss", "policy_grad_norm", "critic_grad_norm"):
        left, right = torch.tensor(getattr(one[1], name)), torch.tensor(getattr(two[1], name))
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


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


# --- what the losses do ---


def test_the_critic_moves_towards_its_targets():
    """A critic that never trains was seen in peers: its weights must move and its loss fall."""
    batch = make_batch()
    _, trace, _ = run(batch, settings=having(epochs=40))
    assert trace.value_loss[-1] < 0.5 * trace.value_loss[0]


def test_the_policy_raises_what_the_advantage_praises():
    """A wrong sign of the loss would lower the probability of tokens with a positive advantage."""
    batch = make_batch(drift=0.0)
    (weights, _), _, credited = run(batch, Toggles(positive_lm_loss=False), having(policy_lr=0.01))
    policy = TablePolicy()
    before = policy(batch)[0]
    with torch.no_grad():
        policy.logits.copy_(weights.view(VOCABULARY, VOCABULARY))
    gain = ((policy(batch)[0] - before) * credited.advantages).where(batch.mask, 0.0).sum()
    assert float(gain.detach()) > 0


def test_the_positive_example_loss_raises_correct_answers():
    """With advantages of zero only imitation is left, and it must raise the likelihood of correct answers."""
    batch = make_batch(drift=0.0)
    recipe, learners = assemble(Toggles(), BASE), [Learner(m, 0.01, BASE, 1) for m in (TablePolicy(), TableCritic())]
    zero = torch.zeros(B, T, dtype=torch.float64)
    credited = Credited(zero, zero, zero, torch.ones(B), torch.ones(B))
    before = float(nll(learners[0].module(batch)[0], batch.mask, batch.correct).detach())
    trace = update(batch, credited, recipe, BASE, *learners, seeded(0))
    assert trace.policy_loss == pytest.approx([0.7 * before], abs=1e-6)
    assert float(nll(learners[0].module(batch)[0], batch.mask, batch.correct).detach()) < before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kl_coef": 0.5}, 0.5 * (0.5**-1 - 1 - 0.6931471805599453)),
        ({"entropy_coef": 0.5}, -0.5 * 0.6931471805599453),
        ({}, 0.0),
    ],
    ids=["kl", "entropy", "none"],
)
def test_kl_and_entropy_by_hand(changes, expected):
    """A uniform policy over two tokens, reference twice as sure: KL estimate 2 - 1 - ln 2, entropy ln 2, per token."""
    policy = TablePolicy()
    with torch.no_grad():
        policy.logits[:, :2], policy.logits[:, 2:] = 0.0, -1e9
    half = torch.full((2, 3), 0.5, dtype=torch.float64).log()
    ids, mask = torch.zeros(2, 3).long(), torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
    off = torch.zeros(2).bool()
    batch = Batch(
        {"seen": ids, "next": ids}, mask, half, torch.zeros_like(half), off.double(), off, torch.zeros(2).int(), ids
    )
    zero = torch.zeros_like(half)
    credited = Credited(zero, zero, zero, torch.ones(2), torch.ones(2))
    settings = having(**changes)
    learners = Learner(policy, 0.1, settings, 1), Learner(TableCritic(), 0.1, settings, 1)
    trace = update(batch, credited, assemble(Toggles(), settings), settings, *learners, seeded(0))
    assert trace.policy_loss == pytest.approx([expected], abs=1e-6)


def test_the_entropy_bonus_raises_entropy():
    """A wrong sign would make the bonus a penalty."""
    batch = make_batch(correct=torch.zeros(B).bool(), drift=0.0)
    plain, bonus = TablePolicy(), TablePolicy()
    run(batch, policy=plain)
    run(batch, settings=having(entropy_coef=5.0), policy=bonus)
    with torch.no_grad():
        start, without, with_bonus = (float(p(batch)[1][batch.mask].mean()) for p in (TablePolicy(), plain, bonus))
    assert with_bonus > start
    assert with_bonus > without


def test_the_value_clip_is_around_the_old_value():
    """Two epochs: in the second, values that moved more than the clip must carry the clipped error."""
    batch = make_batch()
    free, tight = (run(batch, settings=having(epochs=2, critic_lr=0.5, value_clip=c))[1] for c in (1e9, 0.01))
    assert free.value_loss[0] == pytest.approx(tight.value_loss[0], abs=1e-6)
    assert tight.value_loss[1] > free.value_loss[1] + 1e-3


def test_the_ratio_is_new_over_old():
    """old over new would turn every bound around."""
    batch = make_batch()
    trace = run(batch, settings=having(policy_lr=0.0))[1]
    expected = (TablePolicy()(batch)[0].detach() - batch.logp_old).exp()[batch.mask]
    torch.testing.assert_close(torch.cat(trace.ratio).sort().values, expected.sort().values)


def test_advantages_are_computed_once_per_update():
    """The critic's steps within an update must not change the advantages that later mini-batches use."""
    batch = make_batch()
    _, trace, credited = run(batch, settings=having(epochs=2))
    first, second = trace.advantages
    torch.testing.assert_close(first.sort().values, second.sort().values)
    torch.testing.assert_close(first.sort().values, credited.advantages[batch.mask].sort().values)


# --- divergence ---


def broken(module, name, number):
    with torch.no_grad():
        getattr(module, name).fill_(number)
    return module


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_ends_the_run(number):
    """NaN values must end the run with a reason instead of poisoning the policy."""
    with pytest.raises(Diverged, match="value target"):
        run(make_batch(), critic=broken(TableCritic(), "table", number))


def test_a_log_probability_that_is_not_finite_ends_the_run():
    """NaN log-probabilities must be noticed before an optimiser step is taken with them."""
    critic = TableCritic()
    with pytest.raises(Diverged, match="loss"):
        run(make_batch(), policy=broken(TablePolicy(), "logits", float("nan")), critic=critic)
    assert torch.equal(critic.table, TableCritic().table)


def test_a_gradient_that_is_not_finite_ends_the_run_unstepped():
    """A finite loss with a NaN gradient must not be stepped, and must be told."""

    class Kink(TablePolicy):
        def forward(self, batch):
            logp, entropy = super().forward(batch)
            return logp + (self.logits.sum() * 0.0).clamp(min=0).sqrt(), entropy

    policy = Kink()
    with pytest.raises(Diverged, match="gradient norm"):
        run(make_batch(), policy=policy)
    assert torch.equal(policy.logits, TablePolicy().logits)


def test_a_reward_that_is_not_finite_ends_the_run():
    """A verifier that returns NaN must not reach an optimiser step."""
    batch = make_batch()
    batch.rewards[0] = float("nan")
    for variants in ({}, {"credit": "group_relative", "whiten": "none"}):
        with pytest.raises(Diverged):
            run(batch, variants=variants)


# --- the learner ---


def test_the_gradient_is_clipped_and_its_norm_before_clipping_returned():
    """The norm after clipping would hide an explosion; clipping must not change a small gradient."""
    norms, moved = [], []
    for limit in (1e-9, 1e9):
        table = TableCritic()
        table.table.grad = torch.full_like(table.table, 10.0)
        learner = Learner(table, 0.1, having(max_grad_norm=limit), 10)
        norms.append(learner.step())
        moved.append(float((table.table - TableCritic().table).detach().abs().max()))
        assert table.table.grad is None
    assert norms == pytest.approx([10 * VOCABULARY**0.5] * 2)
    assert moved[1] == pytest.approx(0.1, rel=1e-6)
    assert moved[0] < 0.01


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]), ("linear", [0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]),
     ("cosine", [0.25, 0.5, 0.75, 1, 0.8535534, 0.5, 0.1464466, 0])],
)  # fmt: skip
def test_rate_schedules_by_hand(schedule, expected):
    """Three warm-up steps of seven, then down to 0 at the last; a rate of 0 at the first step would waste it."""
    assert [rate_factor(s, schedule, 3, 7) for s in range(8)] == pytest.approx(expected, abs=1e-6)
