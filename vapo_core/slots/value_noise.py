"""Critic's values with an error put in on purpose, for questions about what value error does.

Variants of slot `values`. The error has standard deviation `settings.value_error_sd` and is added when advantages are
computed, never to what the critic learns: with lambda_critic 1 its targets do not depend on values, and anything else is
refused (`combinations.check_combination`). So a learning critic cannot absorb it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from vapo_core.seeds import torch_generator
from vapo_core.settings import Settings
from vapo_core.slots.values import ValueEstimates, critic_values
from vapo_core.types import Batch, Problem

ErrorOf = Callable[[Any, Batch, int], Tensor]
"""(world, batch, seed of the step) -> [B, T] errors of standard deviation 1."""


def by_state(world: Any, batch: Batch, seed: int) -> Tensor:
    """One draw per state of the world, the same at every step of a run: what biases the gradient (METHODS.md, R1)."""
    return frozen_normal(world.state_labels(batch), world.identity["head"])


def by_position(world: Any, batch: Batch, seed: int) -> Tensor:
    """One draw per token number, the same for all responses: inert where all have one length."""
    return frozen_normal(torch.arange(batch.mask.shape[1]).expand_as(batch.mask), world.identity["head"])


def iid_noise(world: Any, batch: Batch, seed: int) -> Tensor:
    """A new draw for every token: variance without bias."""
    return torch.randn(batch.mask.shape, generator=torch_generator(seed, 1))


def value_noise(
    error_of: ErrorOf, world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int
) -> ValueEstimates:
    """The critic's values plus the error, 0 where masked."""
    valued = critic_values(world, batch, problems, settings, seed)
    error = settings.value_error_sd * error_of(world, batch, seed).to(valued.values)
    return valued._replace(values=valued.values + error.where(batch.mask, 0.0))


def frozen_normal(labels: Tensor, key: int) -> Tensor:
    """Standard normal numbers that follow from integer labels and a key alone, [...] of any shape.

    The quantile of a label's hash (the finaliser of splitmix64, Steele et al. 2014): no table has to be kept, however many
    states a world has.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        mixed = _mixed(labels.cpu().numpy().astype(np.uint64) + _mixed(np.array(key).astype(np.uint64)))
    uniform = ((mixed >> np.uint64(11)).astype(float) + 0.5) / 2**53
    return torch.from_numpy(ndtri(uniform)).float().to(labels.device)


def _mixed(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _slot(error_of: ErrorOf, settings: Settings) -> Callable[..., ValueEstimates]:
    return partial(value_noise, error_of)


VARIANTS: Mapping[str, Callable[[Settings], Callable[..., ValueEstimates]]] = {
    "state_error": partial(_slot, by_state),
    "position_error": partial(_slot, by_position),
    "fresh_error": partial(_slot, iid_noise),
}
