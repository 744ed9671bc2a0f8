"""From prompts to a graded batch: generate, verify, shape, and discard groups where the recipe says so."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vapo_core.distributed.ranks import Ranks
from vapo_core.recipe import Recipe, Settings
from vapo_core.seeds import child
from vapo_core.tasks.base import Grade, Task, verify_all
from vapo_core.training.prompts import Prompts
from vapo_core.types import Batch, Problem, Rollout
from vapo_core.worlds.base import Reference, World


class Graded(NamedTuple):
    """A graded batch with what the metrics need."""

    batch: Batch
    problems: list[Problem]
    """P prompts that are in the batch."""
    grades: list[Grade]
    """B grades."""
    truncated: Tensor
    """[B] bool."""
    generated_tokens: int
    """Tokens sampled for it, discarded groups included."""
    prompts_used: int
    """Prompts drawn from the stream, discarded groups included."""


def grade_all(task: Task, problems: Sequence[Problem], answers_each: int, rollout: Rollout) -> list[Grade]:
    """B grades, one per response."""
    return verify_all(task, [p for p in problems for _ in range(answers_each)], rollout.responses)


def to_batch(rollout: Rollout, grades: Sequence[Grade], answers: int, rewards: Tensor) -> Batch:
    """Put a graded rollout into the form an update takes."""
    device = rollout.mask.device
    return Batch(
        inputs=rollout.inputs,
        mask=rollout.mask,
        logp_old=rollout.logp,
        logp_ref=rollout.logp,
        rewards=rewards.to(device),
        correct=torch.tensor([grade.reward == 1.0 for grade in grades], device=device),
        group=torch.arange(len(grades), device=device) // answers,
        step=rollout.step,
    )


def reward_values(grades: Sequence[Grade], settings: Settings) -> Tensor:
    """[B] verifier rewards mapped from [0, 1] to [reward_low, reward_high]."""
    raw = torch.tensor([grade.reward for grade in grades])
    return settings.reward_low + (settings.reward_high - settings.reward_low) * raw


def gather(world: World, recipe: Recipe, settings: Settings, stream: Prompts, first_prompt: int, seed: int) -> Graded:
    """Sample until the recipe's plan is full of groups it keeps, or `generation_rounds` are over.

    Groups that were discarded fill the remaining places, so that every batch has P * G responses; under group-relative
    credit their advantage is zero anyway.
    """
    plan = recipe.group_sampling
    kept: list[_Round] = []
    spare: list[_Round] = []
    tokens, rounds, used = 0, 0, 0
    while rounds < settings.generation_rounds and sum(r.groups for r in kept) < plan.prompts:
        problems = stream.take(first_prompt + used, plan.prompts)
        used += plan.prompts
        rollout = world.engine.generate(problems, plan.answers, child(seed, rounds))
        tokens += int(rollout.mask.sum())
        round_ = _grade_round(world, recipe, settings, problems, rollout)
        verified = torch.tensor([grade.reward for grade in round_.grades])
        keep = recipe.select_groups(verified.view(plan.prompts, plan.answers))
        kept.append(round_.only(keep))
        spare.append(round_.only(~keep))
        rounds += 1
    joined = _join(kept + spare, plan.prompts)
    return Graded(joined.batch, joined.problems, joined.grades, joined.truncated, tokens, used)


def with_reference(batch: Batch, reference: Reference | None, ranks: Ranks) -> Batch:
    """The batch with the reference policy's log-probabilities, if there is a reference."""
    if reference is None:
        return batch
    return replace(batch, logp_ref=ranks.read(reference, batch)[0])


class _Round(NamedTuple):
    """Some groups of one generation."""

    batch: Batch
    problems: list[Problem]
    grades: list[Grade]
    truncated: Tensor

    @property
    def groups(self) -> int:
        return len(self.problems)

    def only(self, keep: Tensor) -> "_Round":
        """These groups, [P] bool."""
        rows = keep.repeat_interleave(len(self.grades) // max(1, len(self.problems)))
        return _Round(
            self.batch.take(rows.nonzero().squeeze(1)),
            [p for p, k in zip(self.problems, keep.tolist(), strict=True) if k],
            [g for g, k in zip(self.grades, rows.tolist(), strict=True) if k],
            self.truncated[rows],
        )


def _grade_round(world: World, recipe: Recipe, settings: Settings, problems: list[Problem], rollout: Rollout) -> _Round:
    """Verify and shape one generation."""
    answers = recipe.group_sampling.answers
    grades = grade_all(world.task, problems, answers, rollout)
    shaping = recipe.shape_reward(rollout.mask.sum(1).cpu(), world.task.max_tokens)
    batch = to_batch(rollout, grades, answers, reward_values(grades, settings) + shaping)
    return _Round(batch, problems, grades, rollout.truncated.cpu())


def _join(rounds: Sequence[_Round], prompts: int) -> _Round:
    """The first `prompts` groups of several rounds as one, padded to one width and renumbered."""
    rounds = [r for r in rounds if r.groups]
    if len(rounds) == 1:
        return rounds[0]
    answers = len(rounds[0].grades) // rounds[0].groups
    width = max(r.batch.mask.shape[1] for r in rounds)
    lead = max(_lead(r.batch) for r in rounds)
    batches = [pad_to(r.batch, width, lead) for r in rounds]
    rows = slice(0, prompts * answers)

    def cat(pieces: list[Tensor]) -> Tensor:
        return torch.cat(pieces)[rows]

    batch = Batch(
        inputs={name: cat([b.inputs[name] for b in batches]) for name in batches[0].inputs},
        mask=cat([b.mask for b in batches]),
        logp_old=cat([b.logp_old for b in batches]),
        logp_ref=cat([b.logp_ref for b in batches]),
        rewards=cat([b.rewards for b in batches]),
        correct=cat([b.correct for b in batches]),
        group=torch.arange(prompts * answers, device=batches[0].mask.device) // answers,
        step=cat([b.step for b in batches]),
    )
    return _Round(
        batch,
        [p for r in rounds for p in r.problems][:prompts],
        [g for r in rounds for g in r.grades][rows],
        cat([r.truncated for r in rounds]),
    )


def _lead(batch: Batch) -> int:
    """Columns by which inputs reach out to the left of the response (the prompt's, in the language world)."""
    return max(x.shape[1] for x in batch.inputs.values()) - batch.mask.shape[1]


def pad_to(batch: Batch, tokens: int, lead: int) -> Batch:
    """The same batch with masked columns: T = `tokens` on the right, inputs reaching `lead` columns left of the response.

    Nothing computed from the batch changes.
    """
    right, left = tokens - batch.mask.shape[1], lead - _lead(batch)
    pad = nn.functional.pad
    return replace(
        batch,
        inputs={name: pad(x, (left, right)) for name, x in batch.inputs.items()},
        mask=pad(batch.mask, (0, right)),
        logp_old=pad(batch.logp_old, (0, right)),
        logp_ref=pad(batch.logp_ref, (0, right)),
        step=pad(batch.step, (0, right)),
    )
