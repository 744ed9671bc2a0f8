"""Whose values advantages are made of: the learned critic's, or means of fresh continuations.

Shapes: B responses, T tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from vapo_core.oracles.monte_carlo import step_start_values
from vapo_core.settings import Settings
from vapo_core.types import Batch, Problem


class ValueEstimates(NamedTuple):
    """Values of a batch and what they cost."""

    values: Tensor
    """[B, T]."""
    tokens: int
    """Tokens sampled to get them."""


def critic_values(
    world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int
) -> ValueEstimates:
    """The learned critic's."""
    return ValueEstimates(world.ranks.read(world.critic, batch)[0], 0)


def bounded(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> ValueEstimates:
    """The learned critic's, cut to [reward_low, reward_high]: no expected reward lies beyond the rewards there are.

    The cut is where values are read. The critic's own loss stays that of a linear head, whose gradient does not die at the
    ends, as that of a sigmoid does.
    """
    values, tokens = critic_values(world, batch, problems, settings, seed)
    return ValueEstimates(values.clamp(settings.reward_low, settings.reward_high).where(batch.mask, 0.0), tokens)


def monte_carlo(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> ValueEstimates:
    """Mean reward of K fresh continuations from the start of every step (VinePPO, arXiv:2410.01679)."""
    values, tokens = step_start_values(world, batch, problems, settings.continuations, seed)
    return ValueEstimates(settings.reward_low + (settings.reward_high - settings.reward_low) * values, tokens)


def default(settings: Settings) -> Callable[..., ValueEstimates]:
    """The learned critic's."""
    return critic_values


VARIANTS: Mapping[str, Callable[[Settings], Callable[..., ValueEstimates]]] = {
    "bounded": lambda settings: bounded,
    "monte_carlo": lambda settings: monte_carlo,
}
