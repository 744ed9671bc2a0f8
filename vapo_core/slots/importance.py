"""Weights of each token's policy loss where the engine samples from a distribution other than the policy's.

Slot: gap [B, T] -> weights [B, T]. gap is log pi_policy - log pi_engine of each sampled token in nats, 0 where masked
(`training/mismatch.py` computes and logs it).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from vapo_core.settings import Settings
from vapo_core.types import AdvantageBatch

Weigh = Callable[[Tensor], Tensor]
"""gap [B, T] -> weight of each token's policy loss [B, T]."""


def unweighted(gap: Tensor) -> Tensor:
    """[B, T] ones: samples are treated as the policy's own."""
    return torch.ones_like(gap)


def truncated(gap: Tensor, cap: float) -> Tensor:
    """[B, T] min(pi_policy / pi_engine, cap): per-token importance weights, truncated (Ionides, JCGS 2008)."""
    return gap.exp().clamp(max=cap)


def default(settings: Settings) -> Weigh:
    """Truncated weights if `importance_weighting` is set, else weights of 1."""
    return partial(truncated, cap=settings.importance_cap) if settings.importance_weighting else unweighted


def weighted(credited: AdvantageBatch, weights: Tensor) -> AdvantageBatch:
    """Apply non-negative weights [B, T] of the policy loss by multiplying the advantages, which is equivalent."""
    return replace(credited, advantages=credited.advantages * weights)


VARIANTS: Mapping[str, Callable[[Settings], Weigh]] = {}
