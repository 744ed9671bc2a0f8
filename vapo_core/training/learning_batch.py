"""From a graded batch to what the update learns from, the same for the trainer and for probes that repeat its update."""

from typing import NamedTuple

from torch import Tensor

from vapo_core.recipe import Recipe, Settings
from vapo_core.slots.importance import weighted
from vapo_core.training.collect import Graded, with_reference
from vapo_core.training.learner import Learner
from vapo_core.training.mismatch import recompute_logprobs
from vapo_core.training.update import assign_credit
from vapo_core.types import AdvantageBatch, Batch
from vapo_core.worlds.base import Reference, World


class LearningBatch(NamedTuple):
    """The inputs of an update. B responses, T tokens."""

    batch: Batch
    """With the policy's log-probabilities, whatever the engine recorded, and the reference's."""
    credited: AdvantageBatch
    """Advantages times importance weights, and value targets."""
    gap: Tensor
    """[B, T] nats, log pi_policy - log pi_engine of each sampled token; 0 for an exact engine."""
    tokens: int
    """Tokens sampled to estimate values."""


def prepare(
    world: World,
    recipe: Recipe,
    settings: Settings,
    policy: Learner,
    reference: Reference | None,
    graded: Graded,
    seed: int,
) -> LearningBatch:
    """Recompute log-probabilities where the engine is inexact, estimate values, assign credit and weight it.

    Args:
        policy: the policy that is about to be updated.
        reference: the policy of the KL penalty, if there is one.
        seed: for values that are sampled.

    Raises:
        Diverged: if a value target is not finite.
    """
    batch, gap = recompute_logprobs(graded.batch, world.engine, policy)
    batch = with_reference(batch, reference, world.ranks)
    asked = [p for p in graded.problems for _ in range(recipe.group_sampling.answers)]
    valued = recipe.values(world, batch, asked, settings, seed)
    credited = weighted(assign_credit(batch, valued.values, recipe), recipe.importance(gap))
    return LearningBatch(batch, credited, gap, valued.tokens)
