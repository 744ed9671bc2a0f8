"""Training on checkpoints from elsewhere: token budgets, bfloat16 and recomputing change cost, never the method."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checkpoints import causal
from tests.vapo_core.models.test_checkpoints import PROBLEMS, TASK, sums, world_of
from vapo_core.api import train
from vapo_core.models.policy import token_statistics
from vapo_core.models.ragged import micro_batches, within
from vapo_core.recipe import RECIPES, assemble
from vapo_core.seeds import torch_generator
from vapo_core.settings import DEFAULT_SETTINGS, Base, Evaluation, Settings
from vapo_core.trainer import Trainer
from vapo_core.training.learner import Learner
from vapo_core.training.update import assign_credit, update
from vapo_core.types import Batch

SMALL = {
    "responses_per_step": 16, "group_size": 4, "pool_size": 8, "warmup_steps": 1, "mini_batches": 2, "kl_coef": 0.01,
}  # fmt: skip
EVALUATION = Evaluation(every=2, problems=4, k=2, k_problems=2)


def settings_of(**numbers) -> Settings:
    return Settings(**{**DEFAULT_SETTINGS["lm"].model_dump(), **SMALL, **numbers})


def trainer_of(checkpoint, cache, recipe="vapo", steps=2, numbers=None, **base):
    settings = settings_of(**(numbers or {}))
    bundle = RECIPES[recipe]
    world = world_of(checkpoint, cache, numbers=settings.model_dump(), **base)
    return Trainer(world, assemble(bundle.toggles, settings, bundle.variants), settings, EVALUATION, 0, steps, cache)


def ran(trainer):
    points = []
    trainer.run(lambda step, metrics: points.append((step, dict(metrics))))
    return points


def weights_of(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


@pytest.mark.parametrize(
    ("recipe", "architecture", "base"),
    [
        ("vapo", "qwen2", {"dtype": "bfloat16", "gradient_checkpointing": True}),
        ("vapo", "gemma3_text", {}),
        ("ppo", "gpt2", {"gradient_checkpointing": True}),
        ("grpo", "llama", {"dtype": "bfloat16"}),
    ],
)
def test_recipes_train_on_checkpoints_from_elsewhere(recipe, architecture, base, tmp_path):
    """Two steps: finite numbers, moved float32 weights, and ratios of 1 before anything was stepped."""
    checkpoint = causal(tmp_path / "base", architecture, template=recipe == "vapo", pad=False)
    numbers = {"mini_batches": 1, "tokens_per_micro_batch": 200, "tokens_per_generation_batch": 400}
    trainer = trainer_of(checkpoint, tmp_path, recipe, numbers=numbers, **base)
    before = weights_of(trainer.world.policy)
    points = ran(trainer)
    assert all(np.isfinite(x) for _, metrics in points for x in metrics.values())
    loose = 0.05 if base.get("dtype") == "bfloat16" else 1e-4
    assert points[1][1]["actor/ppo_kl"] == pytest.approx(0, abs=loose)
    after = weights_of(trainer.world.policy)
    assert all(p.dtype == torch.float32 for p in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_one_call_trains_a_checkpoint(tmp_path):
    base = Base(model=causal(tmp_path / "base"))
    result = train(TASK, "grpo", base=base, settings=settings_of(), evaluation=EVALUATION, steps=1, cache=tmp_path)
    assert [step for step, _ in result.points] == [0, 1]


# --- budgets of tokens ---


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60)), min_size=1, max_size=30), st.integers(1, 300))
def test_runs_keep_to_the_budget_unless_a_row_alone_is_above_it(sizes, most):
    prompts, lengths = zip(*sizes, strict=True)
    runs = within(list(range(len(sizes))), prompts, lengths, most)
    assert [row for run in runs for row in run] == list(range(len(sizes)))
    for run in runs:
        read = len(run) * (max(prompts[row] for row in run) + max(lengths[row] for row in run))
        assert read <= most or len(run) == 1


def test_runs_by_hand():
    """Rows of 3 + 2, 3 + 2 and 1 + 6 tokens: two read 10 at once; the third beside them would make it 3 * (3 + 6)."""
    assert within([0, 1, 2], [3, 3, 1], [2, 2, 6], 10) == [[0, 1], [2]]
    assert within([0, 1, 2], [3, 3, 1], [2, 2, 6], 26) == [[0, 1], [2]]
    assert within([0, 1, 2], [3, 3, 1], [2, 2, 6], 27) == [[0, 1, 2]]
    assert within([0, 1, 2], [3, 3, 1], [2, 2, 6], 1) == [[0], [1], [2]]


def graded(world, seed=1):
    """A batch of unequal prompts and answers, half of them right."""
    prompts = world.engine.text.prompts([p.prompt for p in sums(np.random.default_rng(1), 8, "train")])
    rollout = world.engine.complete(prompts, [3, 12, 7, 12, 5, 9, 2, 12], seed, 2)
    right = torch.arange(16) % 2 == 0
    return replace(Batch.ungraded(rollout), rewards=right.float(), correct=right, group=torch.arange(16) // 2)


def updated(world, batch, numbers):
    """Gradient norms and weights after one update of a copy."""
    settings = settings_of(policy_lr=1e-3, **numbers)
    recipe = assemble(RECIPES["vapo"].toggles, settings)
    learners = [Learner(copy.deepcopy(module), 1e-3, settings, 10) for module in (world.policy, world.critic)]
    for learner in learners:
        learner.module.passes = learner.module.passes._replace(most_tokens=settings.tokens_per_micro_batch)
    with torch.no_grad():
        credited = assign_credit(batch, world.critic(batch), recipe)
    trace = update(batch, credited, recipe, settings, *learners, torch_generator(0))
    return [*trace.policy_grad_norm, *trace.critic_grad_norm], [weights_of(x.module) for x in learners]


@pytest.mark.parametrize(
    "numbers", [{"tokens_per_micro_batch": 60}, {"tokens_per_micro_batch": 1}, {"micro_batches": 3}]
)
def test_slices_of_any_size_give_the_same_update(numbers, tmp_path):
    """Losses are normalised over the mini-batch, so slices by tokens or by responses change rounding only."""
    world = world_of(causal(tmp_path / "base", "qwen2"), tmp_path)
    batch = graded(world)
    assert len(micro_batches(batch, 1, 60)) > 4
    (norms, whole), (others, sliced) = updated(world, batch, {}), updated(world, batch, numbers)
    assert others == pytest.approx(norms, rel=1e-4)
    for mine, own in zip(whole, sliced, strict=True):
        for name, weight in mine.items():
            close = torch.isclose(weight, own[name], atol=1e-5, rtol=1e-4)
            assert close.float().mean() > 0.999, name  # AdamW turns a gradient around 0 into a step of either sign


def test_many_logits_are_read_in_pieces_with_the_same_gradients():
    torch.manual_seed(0)
    logits, ids = torch.randn(3, 5, 11, requires_grad=True), torch.randint(11, (3, 5))
    found = []
    for many in (10**6, 22):
        logp, entropy = token_statistics(logits, ids, 0.7, many)
        (gradient,) = torch.autograd.grad((logp * 2 + entropy.square()).sum(), logits)
        found.append((logp, entropy, gradient))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


# --- bfloat16 and gradient checkpointing ---


def test_bfloat16_computes_close_by_and_keeps_float32_weights(tmp_path):
    """What is sampled in bfloat16 is read again in bfloat16: the lean cache is the model's own arithmetic but for rounding."""
    checkpoint = causal(tmp_path / "base", "qwen2")
    exact, rough = (world_of(checkpoint, tmp_path, dtype=dtype) for dtype in ("float32", "bfloat16"))
    rollout = rough.engine.generate(PROBLEMS, 4, seed=1)
    batch = Batch.ungraded(rollout)
    for world, close in ((rough, 0.02), (exact, 0.04)):
        logp, _ = world.policy(batch)
        assert logp.dtype == torch.float32
        assert float((logp - rollout.logp).detach()[batch.mask].abs().mean()) < close
    assert not torch.equal(rough.policy(batch)[0], exact.policy(batch)[0])
    assert rough.critic(batch).dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in (*rough.policy.parameters(), *rough.critic.parameters()))


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
def test_gradient_checkpointing_changes_no_number(architecture, tmp_path):
    """It needs training mode, where GPT-2 would drop activations at random."""
    checkpoint = causal(tmp_path / "base", architecture)
    plain, again = (world_of(checkpoint, tmp_path, gradient_checkpointing=on) for on in (False, True))
    assert again.model.training
    rollout = plain.engine.generate(PROBLEMS, 2, seed=1)
    assert again.engine.generate(PROBLEMS, 2, seed=1).responses == rollout.responses
    batch = Batch.ungraded(rollout)
    for mine, other in ((plain.policy, again.policy), (plain.critic, again.critic)):
        found = []
        for module in (mine, other):
            output = module(batch)
            loss = (output[0] if isinstance(output, tuple) else output).square().sum()
            found.append(torch.autograd.grad(loss, list(module.parameters()), allow_unused=True))
        for x, y in zip(*found, strict=True):
            assert (x is None) == (y is None)
            if x is not None:
                torch.testing.assert_close(x, y, atol=1e-6, rtol=1e-4)
