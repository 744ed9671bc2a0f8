"""Clip-higher: a wider upper bound on the policy ratio (DAPO, arXiv:2503.14476, section 3.1; VAPO, section 4.3).

Slot: a `Clip` (low, high). Off: the symmetric clip. The two differ only on tokens with a positive advantage.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vapo_core.settings import Settings


class Clip(NamedTuple):
    """Bounds 1 - low and 1 + high on the ratio."""

    low: float
    high: float

    def bounds(self, advantages: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """(low, high) for every token, numbers or [B, T]."""
        return self.low, self.high


def on(settings: Settings) -> Clip:
    """0.2 and 0.28 in the paper."""
    return Clip(settings.clip_low, settings.clip_high)


def off(settings: Settings) -> Clip:
    """The symmetric clip of PPO."""
    return Clip(settings.clip_low, settings.clip_low)


def above_threshold(settings: Settings) -> Clip:
    """The reading of the limitations paper (Shao et al. 2025): the wider bound only where the advantage exceeds `clip_threshold`.

    The VAPO paper widens the bound for every token; the threshold appears only in the limitations paper's description
    ("explore actions with advantages higher than a certain threshold").
    """

    class AboveThreshold(Clip):
        def bounds(self, advantages: Tensor) -> tuple[Tensor | float, Tensor | float]:
            wide = torch.full_like(advantages, self.high)
            return self.low, wide.where(advantages > settings.clip_threshold, self.low)

    return AboveThreshold(settings.clip_low, settings.clip_high)


VARIANTS = {"above_threshold": above_threshold}
