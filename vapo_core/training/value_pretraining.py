"""The critic at the start of RL: initialised, then value-pretrained once per key and shared by all arms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from safetensors.torch import save_model
from torch import Tensor

from vapo_core.components.group_sampling import SamplingPlan
from vapo_core.files import clear_scratch, set_aside, whole_folder
from vapo_core.functional.advantages import returns_to_go
from vapo_core.functional.losses import linear_weights, token_mean, value_loss
from vapo_core.models.base_model import content_key
from vapo_core.models.weights import load_exactly
from vapo_core.reading import reason_of
from vapo_core.recipe import Recipe, Settings
from vapo_core.seeds import Seeds, child, torch_generator
from vapo_core.slots.credit import terminal_rewards
from vapo_core.sources import CRITICS, recorded, say_replaced, say_unrecorded
from vapo_core.tasks.known_by import problems_hash
from vapo_core.training.collect import grade_all, reward_values, to_batch
from vapo_core.training.learner import Learner
from vapo_core.training.prompts import PromptStream
from vapo_core.training.update import Diverged, slices_of
from vapo_core.types import Batch, Problem
from vapo_core.worlds.base import World


class WarmStart(NamedTuple):
    """The cost of a run's warm critic."""

    tokens: int
    """Tokens sampled from the frozen policy to fit the critic."""
    key: str
    """Name of the warm critic, empty when nothing was fitted."""


def warm_start(
    world: World, recipe: Recipe, settings: Settings, pool: list[Problem], seeds: Seeds, cache: Path
) -> WarmStart:
    """Prepare `world.critic` for RL: load the warm critic with this key, or fit it.

    The warm-up ignores group_sampling and has a random stream of its own, so arms that differ elsewhere share it.

    Raises:
        Diverged: if the critic's loss stops being finite.
    """
    outcome = settings.outcome_steps if settings.critic_start == "outcome" else 0
    if not recipe.credit.needs_critic or outcome + recipe.value_pretraining == 0:
        return WarmStart(0, "")
    key = content_key(_key_content(world, recipe, settings, pool, outcome, seeds))
    folder = cache / "critics" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    ranks = world.ranks
    with ranks.held(FileLock(f"{folder}.lock")):
        tokens = ranks.first(lambda: _load(world, folder, cache))
        if tokens is None:
            tokens = fit(world, settings, pool, seeds, outcome, recipe.value_pretraining)
            with ranks.unsharded(world.critic):
                ranks.first(lambda: _keep(world, folder, tokens, cache))
        else:
            ranks.broadcast(world.critic)
    return WarmStart(tokens, key)


def _keep(world: World, folder: Path, tokens: int, cache: Path) -> None:
    """Save a warm critic for other arms."""
    clear_scratch(folder.parent, folder.name)
    with whole_folder(folder) as scratch:
        save_model(world.critic, str(scratch / "critic.safetensors"))
        (scratch / "warm.json").write_text(json.dumps({"tokens": tokens}))
        CRITICS.record(scratch, cache)


def _load(world: World, folder: Path, cache: Path) -> int | None:
    """Load a finished warm critic and return its tokens.

    None if there is none, a damaged one being set aside, or if other source fitted it: then it is fitted again.
    """
    if not folder.exists():
        return None
    if difference := CRITICS.difference(folder, cache):
        say_replaced(f"warm critics in {folder.parent}", difference)
        return None
    if not recorded(folder):
        say_unrecorded(f"warm critics in {folder.parent}")
    try:
        tokens = int(json.loads((folder / "warm.json").read_text())["tokens"])
        load_exactly(world.critic, folder / "critic.safetensors")
    except MemoryError:
        raise
    except Exception as error:  # whatever a reader of damaged bytes may raise
        set_aside(folder, f"it cannot be read ({reason_of(error)})", "the warm critic is fitted again")
        return None
    return tokens


FITTED_BY = (
    "responses_per_step", "pool_size", "reward_low", "reward_high", "critic_lr", "mini_batches", "max_grad_norm",
    "adam_beta1", "adam_beta2", "weight_decay", "value_clip",
    "micro_batches", "tokens_per_micro_batch", "tokens_per_generation_batch",
)  # fmt: skip
"""Settings that `fit` reads; the last three change rounding, or which answers are sampled side by side."""


def _key_content(
    world: World, recipe: Recipe, settings: Settings, pool: list[Problem], outcome: int, seeds: Seeds
) -> dict[str, Any]:
    """Everything the warm critic depends on."""
    numbers = {name: repr(getattr(settings, name)) for name in FITTED_BY}
    return {
        "world": dict(world.identity), "settings": numbers, "outcome_steps": outcome, "pool": problems_hash(pool),
        "steps": recipe.value_pretraining, "data": seeds.data, "warmup": seeds.warmup,
    }  # fmt: skip


def fit(world: World, settings: Settings, pool: list[Problem], seeds: Seeds, outcome: int, steps: int) -> int:
    """Fit the critic to results of the frozen policy: `outcome` steps on last tokens, then `steps` on every token.

    Returns:
        Tokens generated.
    """
    learner = Learner(world.critic, settings.critic_lr, settings, outcome + steps, ranks=world.ranks)
    stream = PromptStream(pool, SamplingPlan(settings.responses_per_step, 1), child(seeds.warmup, 0))
    tokens = 0
    for step in range(outcome + steps):
        problems = stream.take(step * settings.responses_per_step, settings.responses_per_step)
        rollout = world.engine.generate(problems, 1, child(seeds.warmup, 1, step))
        tokens += int(rollout.mask.sum())
        grades = grade_all(world.task, problems, 1, rollout)
        batch = to_batch(rollout, grades, 1, reward_values(grades, settings))
        world.engine.release()
        generator = torch_generator(seeds.warmup, 2, step)
        _regress(learner, batch, settings, last_token if step < outcome else every_token, generator)
    return tokens


def last_token(mask: Tensor) -> Tensor:
    """[B, T] bool, each response's last valid token: the outcome model's only lesson, hence its bias on early prefixes."""
    return mask & (mask.flip(1).int().cumsum(1).flip(1) == 1)


def every_token(mask: Tensor) -> Tensor:
    """[B, T] bool, all valid tokens."""
    return mask


def _regress(
    learner: Learner, batch: Batch, settings: Settings, which: Callable[[Tensor], Tensor], generator: torch.Generator
) -> None:
    """One pass of mini-batch steps on Monte-Carlo returns (lambda 1), in slices as the update takes them."""
    targets, ranks = returns_to_go(terminal_rewards(batch), batch.mask), learner.ranks
    for rows in torch.randperm(len(batch.mask), generator=generator).tensor_split(settings.mini_batches):
        part, aims, loss = batch.take(rows), targets[rows], torch.zeros(())
        weights = linear_weights(token_mean, part.logp_old, which(part.mask))
        slices = slices_of(part, settings, ranks)
        for number, micro in enumerate(slices, start=1):
            with ranks.collecting(number == len(slices), learner.forward):
                values = learner.forward(part.take(micro))
                share = (weights[micro] * value_loss(values, values.detach(), aims[micro])).sum()
                ranks.backward(share)
            loss += share.detach().cpu()
        if not torch.isfinite(ranks.total(loss)):
            raise Diverged("value pretraining loss is not finite")
        learner.step()
