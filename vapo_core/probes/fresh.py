"""A fresh batch of the recipe's own kind for a probe, and whitening whose constants come from another one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vapo_core.components.group_sampling import SamplingPlan
from vapo_core.probes.base import CannotRun, View
from vapo_core.recipe import Recipe
from vapo_core.slots.credit import CREDIT
from vapo_core.slots.importance import unweighted
from vapo_core.training.collect import gather
from vapo_core.training.learning_batch import prepare
from vapo_core.training.update import assign_credit
from vapo_core.types import Batch, Problem

ANSWERS = 4
"""At most this many answers per prompt, so that there are prompts enough to count as independent clusters. Group-relative
credit, which depends on the group's size, keeps the recipe's own."""


class Fresh(NamedTuple):
    """B graded responses of the present policy with the recipe's credit."""

    batch: Batch
    advantages: Tensor
    """[B, T] before whitening and importance weights, in reward units; 0 where masked."""
    problems: list[Problem]
    """B problems, one per response."""
    rewards: Tensor
    """[B] verifier rewards in [0, 1], unshaped."""
    weights: Tensor
    """[B, T] the recipe's importance weights; 1 for an exact engine."""


class DrawnPrompts:
    """Prompts number 0, 1, 2, ..., drawn with replacement from the pool."""

    def __init__(self, pool: Sequence[Problem], seed: int) -> None:
        self.pool, self.seed = pool, seed

    def take(self, first: int, count: int) -> list[Problem]:
        """Prompts first .. first + count - 1."""
        chosen = np.random.default_rng(self.seed).integers(len(self.pool), size=first + count)
        return [self.pool[i] for i in chosen[first:]]


class Whitening(NamedTuple):
    """The recipe's whitening as numbers: A -> scale A + shift. Frozen ones do not couple the responses of a batch."""

    scale: float
    shift: float

    def __call__(self, fresh: Fresh) -> Tensor:
        """[B, T] advantages as the policy loss takes them, whitened and weighted; 0 where masked."""
        return ((self.scale * fresh.advantages + self.shift) * fresh.weights).where(fresh.batch.mask, 0.0)


def fresh_batch(view: View, recipe: Recipe, responses: int, stream: str, number: int = 0) -> Fresh:
    """Sample, grade and credit about `responses` responses to training problems drawn with replacement.

    So prompts are independent clusters, also where the pool has no more of them than the batch.

    Args:
        view: the run.
        recipe: the run's recipe, or a copy of it; its plan is replaced by one of few answers per prompt.
        responses: how many, rounded down to whole groups.
        stream: whose random numbers are drawn, as `View.seed` takes it.
        number: which batch of that stream; its prompts and samples are independent of the others'.
    """
    grouped = recipe.credit == CREDIT["group_relative"]
    answers = recipe.group_sampling.answers if grouped else min(ANSWERS, recipe.group_sampling.answers)
    plan = SamplingPlan(responses // answers, answers)
    plain = replace(recipe, group_sampling=plan, whiten=lambda x, mask: x, importance=unweighted)
    prompts = DrawnPrompts(view.pool, view.seed(f"{stream}/prompts", number))
    graded = gather(view.world, plain, view.settings, prompts, 0, view.seed(f"{stream}/sampling", number))
    seed = view.seed(f"{stream}/values", number)
    found = prepare(view.world, plain, view.settings, view.policy, view.reference, graded, seed)
    return Fresh(
        found.batch,
        found.credited.advantages,
        [p for p in graded.problems for _ in range(answers)],
        torch.tensor([grade.reward for grade in graded.grades]),
        recipe.importance(found.gap),
    )


def recredit(view: View, fresh: Fresh, recipe: Recipe) -> Fresh:
    """The same responses with the critic's values credited by another recipe; as they are if it is the run's own."""
    if recipe is view.recipe:
        return fresh
    with torch.no_grad():
        values = view.world.critic(fresh.batch)
    return fresh._replace(
        advantages=assign_credit(fresh.batch, values, replace(recipe, whiten=lambda x, mask: x)).advantages
    )


def whitening(recipe: Recipe, other: Fresh) -> Whitening:
    """The constants the recipe's whitening takes from another batch.

    Raises:
        CannotRun: if all of its advantages are equal, so that there is no policy gradient.
    """
    mask = other.batch.mask
    raw, white = other.advantages[mask], recipe.whiten(other.advantages, mask)[mask]
    if float(raw.std()) == 0:
        raise CannotRun("all advantages of a fresh batch are equal")
    scale = float(white.std() / raw.std())
    return Whitening(scale, float(white.mean() - scale * raw.mean()))
