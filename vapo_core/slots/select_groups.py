"""Which groups of answers to one prompt a step learns from. Shapes: P prompts, G answers per prompt."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vapo_core.settings import Settings

Select = Callable[[Tensor], Tensor]
"""Verifier rewards [P, G] -> [P] bool."""


def keep_all(rewards: Tensor) -> Tensor:
    """[P, G] -> [P] bool: every group is used."""
    return torch.ones(len(rewards), dtype=torch.bool)


def dynamic_sampling(rewards: Tensor) -> Tensor:
    """DAPO's dynamic sampling: [P, G] -> [P] bool, false where all answers got the same verifier reward.

    arXiv:2503.14476, eq. 11. The overlong penalty does not count: it would keep groups that are all wrong or all right.
    """
    return rewards.amax(1) > rewards.amin(1)


def default(settings: Settings) -> Select:
    """Every group."""
    return keep_all


VARIANTS: Mapping[str, Callable[[Settings], Select]] = {"dynamic_sampling": lambda settings: dynamic_sampling}
