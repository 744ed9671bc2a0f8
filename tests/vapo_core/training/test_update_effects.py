"""What an update does: where losses drive policy and critic, when it stops a run, how the learner steps."""

import pytest
import torch

from tests.support.table_models import (
    BASE,
    VOCABULARY,
    B,
    T,
    TableCritic,
    TablePolicy,
    having,
    make_batch,
    run,
    seeded,
)
from vapo_core.functional.losses import nll
from vapo_core.recipe import Toggles, assemble
from vapo_core.training.learner import Learner, rate_factor
from vapo_core.training.update import Diverged, update
from vapo_core.types import AdvantageBatch, Batch

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
    credited = AdvantageBatch(zero, zero, zero, torch.ones(B), torch.ones(B))
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
    credited = AdvantageBatch(zero, zero, zero, torch.ones(2), torch.ones(2))
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
