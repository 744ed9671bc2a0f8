"""Whole runs: reproducible, resumable, and with every component doing what its name says."""

import itertools
from dataclasses import replace

import pytest
import torch

from tests.support.worlds import run, small_spec, trainer_of, untimed
from vapo_core import probes
from vapo_core.recipe import COMPONENTS, RECIPES
from vapo_core.settings import Toggles
from vapo_core.training import metrics
from vapo_core.training.collect import gather
from vapo_core.training.update import Diverged

WORLDS = ("walk", "lm")


def weights(module) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1).clone() for p in module.parameters()])


@pytest.mark.parametrize("world", WORLDS)
def test_same_spec_twice_gives_bit_equal_weights(world, cache):
    """Every draw is a function of the spec: nothing leaks in from global state."""
    finals = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        trainer = trainer_of(small_spec(world), cache / f"twice-{noise}" if world == "walk" else cache)
        torch.rand(7)
        points = run(trainer)
        finals.append((weights(trainer.world.policy), weights(trainer.world.critic), untimed(points)))
    assert torch.equal(finals[0][0], finals[1][0])
    assert torch.equal(finals[0][1], finals[1][1])
    assert finals[0][2] == finals[1][2]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("recipe", ["vapo", "dapo"])
def test_interrupted_and_resumed_equals_uninterrupted(world, recipe, cache, tmp_path):
    """A checkpoint holds weights, both optimisers, schedules and counters; losing any of them changes the sequel."""
    numbers = {"lr_schedule": "linear", "lr_warmup_steps": 2, "kl_coef": 0.01}
    spec = small_spec(world, recipe, steps=4, numbers=numbers)
    whole = trainer_of(spec, cache)
    points = untimed(run(whole))
    first = trainer_of(spec, cache)
    first.steps = 2
    first.run(lambda step, metrics: None, tmp_path / "checkpoint", 2)
    second = trainer_of(spec, cache)
    assert second.resume(tmp_path / "checkpoint").step == 2
    rest = untimed(run(second))
    assert rest == [point for point in points if point[0] > 2]
    assert torch.equal(weights(whole.world.policy), weights(second.world.policy))
    assert torch.equal(weights(whole.world.critic), weights(second.world.critic))


@pytest.mark.parametrize("world", WORLDS)
def test_critic_and_policy_weights_move(world, cache):
    """A critic that never trained has been seen in the wild; its weights must move, in warm-up and in RL."""
    trainer = trainer_of(small_spec(world), cache)
    policy, critic = weights(trainer.world.policy), weights(trainer.world.critic)
    trainer.steps = 0
    run(trainer)
    warm = weights(trainer.world.critic)
    assert not torch.equal(critic, warm)
    assert torch.equal(policy, weights(trainer.world.policy))
    trainer.steps, trainer.progress = 1, None
    run(trainer)
    assert not torch.equal(warm, weights(trainer.world.critic))
    assert not torch.equal(policy, weights(trainer.world.policy))


def test_all_128_toggle_combinations_run_a_step(cache):
    """With critic credit every combination is legal by construction."""
    for bits in itertools.product((False, True), repeat=7):
        toggles = Toggles(**dict(zip(COMPONENTS, bits, strict=True)))
        spec = small_spec("walk", steps=1, toggles=toggles, evaluation={"problems": 4, "k": 1, "k_problems": 1})
        assert run(trainer_of(spec, cache))[-1][0] == 1


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_recipe_runs_and_logs_only_known_names(world, recipe, cache):
    """A metric without unit and meaning in METRICS is a typo or an orphan."""
    points = run(trainer_of(small_spec(world, recipe), cache))
    names = {name for _, metrics in points for name in metrics}
    assert {name for name in names if not name.startswith("val/pass_at_")} <= {*metrics.METRICS, *probes.METRICS}
    assert {"reward/mean", "actor/entropy", "critic/vf_loss", "val/pass_at_1", "val/pass_at_2"} <= names


def test_group_sampling_off_keeps_the_responses_and_changes_the_prompts(cache):
    """32 responses either way; 8 prompts with it, as many as the pool has (16) without."""
    on = run(trainer_of(small_spec("walk", steps=1), cache))[-1][1]
    off_spec = small_spec("walk", steps=1, toggles=Toggles(group_sampling=False))
    trainer = trainer_of(off_spec, cache)
    off = run(trainer)[-1][1]
    assert on["activity/group_sampling"] == 8
    assert off["activity/group_sampling"] == 16
    assert off_spec.settings.responses_per_step == trainer.recipe.group_sampling.prompts == 32


def test_value_pretraining_alone_changes_where_the_critic_starts(cache):
    """With it the first critic error is smaller and its tokens are charged; without it nothing is sampled before RL."""
    numbers = {"critic_bias": 1.0, "warmup_steps": 20}
    on = run(trainer_of(small_spec("walk", steps=1, numbers=numbers), cache))
    off_toggles = Toggles(value_pretraining=False)
    off = run(trainer_of(small_spec("walk", steps=1, numbers=numbers, toggles=off_toggles), cache))
    assert on[0][1]["tokens/generated"] > 0
    assert off[0][1]["tokens/generated"] == 0
    assert on[1][1]["activity/value_pretraining"] < 0.5 * off[1][1]["activity/value_pretraining"]
    assert on[1][1]["reward/mean"] == off[1][1]["reward/mean"]  # same policy, same problems, same samples


def test_warm_critic_is_made_once_and_shared_by_arms(cache, tmp_path):
    """Arms that differ elsewhere load the same warm critic, bit for bit, and are charged the same tokens."""
    full = trainer_of(small_spec("walk", steps=1), tmp_path)
    other = trainer_of(small_spec("walk", steps=1, toggles=Toggles(group_sampling=False, clip_higher=False)), tmp_path)
    for trainer in (full, other):
        trainer.steps = 0
        run(trainer)
    assert full.warm == other.warm
    assert full.warm.tokens > 0
    assert torch.equal(weights(full.world.critic), weights(other.world.critic))
    assert len([p for p in (tmp_path / "critics").iterdir() if p.is_dir()]) == 1


def test_outcome_fitted_critic_is_biased_early_and_right_at_the_end(cache):
    """Trained on complete answers only, it is near the truth on last tokens and off on early ones."""
    numbers = {"critic_start": "outcome", "outcome_steps": 150, "responses_per_step": 128}
    spec = small_spec("walk", steps=1, numbers=numbers, toggles=Toggles(value_pretraining=False))
    metrics = run(trainer_of(spec, cache))[-1][1]
    assert abs(metrics["critic/bias_q4"]) < abs(metrics["critic/bias_q1"])


@pytest.mark.parametrize("name", ["policy_lr", "critic_lr"])
def test_divergence_ends_the_run_with_its_reason(name, cache):
    """An absurd rate makes numbers blow up; that is noticed, not trained through."""
    trainer = trainer_of(small_spec("walk", steps=5, numbers={name: 1e38, "warmup_steps": 0}), cache)
    with pytest.raises(Diverged, match="not finite"):
        run(trainer)


def test_paired_arms_see_the_same_problems_and_first_samples(cache):
    """Seed i of every arm shares problems, base, critic head and sampling seeds: the first rollout is the same."""
    seen = []
    for recipe in ("vapo", "grpo", "dapo"):
        trainer = trainer_of(small_spec("walk", recipe, steps=1), cache)
        points = run(trainer)
        seen.append((points[0][1]["val/exact_j"], points[1][1]["reward/accuracy"] if recipe != "dapo" else None))
    assert seen[0][0] == seen[1][0] == seen[2][0]
    assert seen[0][1] == seen[1][1]


def test_dynamic_sampling_charges_discarded_groups(cache):
    """dapo samples again when groups say nothing; what it threw away is still counted as generated."""
    dapo = run(trainer_of(small_spec("walk", "dapo", steps=2), cache))
    grpo = run(trainer_of(small_spec("walk", "grpo", steps=2), cache))
    assert dapo[-1][1]["tokens/generated"] > grpo[-1][1]["tokens/generated"]
    assert dapo[-1][1]["activity/group_reward_spread"] > grpo[-1][1]["activity/group_reward_spread"]


def test_dynamic_sampling_looks_at_the_verifier_alone(cache):
    """Groups that are all wrong but differ in length say nothing: the overlong penalty must not keep them."""
    trainer = trainer_of(small_spec("walk", "dapo", steps=1, dials={"size": 8, "horizon": 3}), cache)
    metrics = run(trainer)[-1][1]
    groups = trainer.recipe.group_sampling.prompts
    assert metrics["reward/mean"] < metrics["reward/accuracy"]  # the penalty is active here
    seen = []
    kept = trainer.recipe.select_groups

    def spy(rewards):
        seen.append(rewards)
        return kept(rewards)

    recipe = replace(trainer.recipe, select_groups=spy)
    gather(trainer.world, recipe, trainer.settings, trainer.stream, 0, seed=1)
    assert all(rewards.shape[0] == groups for rewards in seen)
    assert set(torch.cat(seen).unique().tolist()) <= {0.0, 1.0}
