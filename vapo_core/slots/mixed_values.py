"""A baseline that mixes the learned critic with what a critic-free method would use. Variants of slot `values`.

With lambda_critic 1 the critic's targets do not depend on values, so it learns as ever; advantages alone change.
Shapes: B responses, T tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vapo_core.settings import Settings
from vapo_core.slots.values import ValueEstimates, critic_values
from vapo_core.types import Batch, Problem


def others_mean(rewards: Tensor, group: Tensor) -> Tensor:
    """[B] mean reward of the other answers to the same prompt; independent of the response's own tokens.

    Args:
        rewards: [B].
        group: [B] int, prompt of each response.

    Raises:
        ValueError: if a prompt has a single answer.
    """
    counts = torch.bincount(group)
    if (counts[counts > 0] < 2).any():
        raise ValueError("a leave-one-out mean needs at least 2 answers per prompt")
    total = torch.zeros(len(counts), dtype=rewards.dtype, device=rewards.device).index_add(0, group, rewards)
    return (total[group] - rewards) / (counts[group] - 1)


def mixing_weight(values: Tensor, baseline: Tensor, rewards: Tensor, mask: Tensor) -> Tensor:
    """rho in [0, 1] that minimises sum over tokens of (R - rho V - (1 - rho) m)^2; a scalar.

    rho = sum (R - m)(V - m) / sum (V - m)^2, cut to [0, 1]; 0 where V and m agree everywhere.

    Args:
        values: [B, T] the critic's. baseline: [B] m. rewards: [B]. mask: [B, T] bool.
    """
    apart = (values - baseline[:, None]).where(mask, 0.0)
    square = apart.square().sum()
    rho = ((rewards - baseline)[:, None] * apart).sum() / square
    return torch.where(square > 0, rho, torch.zeros_like(rho)).clamp(0.0, 1.0)


def tether(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> ValueEstimates:
    """rho V + (1 - rho) m with m the leave-one-out mean of the group and rho by least squares on this batch.

    TETHER of "Le Critique" (Mistral AI and Mila, 2026), as its abstract states it: the plain critic trails the group mean,
    and the mixture beats both. The paper's way of finding rho is not stated there; least squares on outcomes is ours.
    """
    values, tokens = critic_values(world, batch, problems, settings, seed)
    rewards = batch.rewards.to(values)
    baseline = others_mean(rewards, batch.group)
    rho = mixing_weight(values, baseline, rewards, batch.mask)
    mixed = rho * values + (1 - rho) * baseline[:, None]
    return ValueEstimates(mixed.where(batch.mask, 0.0), tokens)


def explained_variance(values: Tensor, rewards: Tensor, mask: Tensor) -> Tensor:
    """1 - Var(R - V) / Var(R) over valid tokens, a scalar of at most 1; 0 where all rewards are equal.

    Args:
        values: [B, T]. rewards: [B], the return from every token on. mask: [B, T] bool.
    """
    returns = rewards[:, None].expand_as(values)[mask]
    variance = returns.var(correction=0)
    left = (returns - values[mask]).var(correction=0)
    return torch.where(variance > 0, 1 - left / variance, torch.zeros_like(variance))


def gated(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> ValueEstimates:
    """The critic's values where they explain variance of this batch's returns, else the batch's mean reward at every token.

    EVPO (arXiv:2604.19485): a critic lowers the variance of advantages exactly where its explained variance is above 0.
    """
    values, tokens = critic_values(world, batch, problems, settings, seed)
    rewards = batch.rewards.to(values)
    useful = explained_variance(values, rewards, batch.mask) > 0
    chosen = torch.where(useful, values, rewards.mean())
    return ValueEstimates(chosen.where(batch.mask, 0.0), tokens)


VARIANTS: Mapping[str, Callable[[Settings], Callable[..., ValueEstimates]]] = {
    "tether": lambda settings: tether,
    "gated": lambda settings: gated,
}
