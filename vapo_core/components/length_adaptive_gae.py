"""Length-adaptive GAE: lambda_policy = 1 - 1 / (alpha l).

VAPO, arXiv:2504.05118v3, section 4.2, Length-Adaptive GAE (copies of the paper number its equations differently).

It makes the total weight sum_t lambda^t ~ 1 / (1 - lambda) equal alpha l. Slot: lengths [B] -> lambda_policy [B].
Off: the constant `fixed_lambda`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from vapo_core.settings import Settings

Slot = Callable[[Tensor], Tensor]


def on(settings: Settings) -> Slot:
    """1 - 1/(alpha l), clipped to [0, 1]: the paper states no clamp, and below l = 1/alpha the rule is negative."""
    return lambda lengths: (1 - 1 / (settings.alpha * lengths)).clamp(0.0, 1.0)


def off(settings: Settings) -> Slot:
    """The same lambda for every length."""
    return lambda lengths: torch.full((len(lengths),), settings.fixed_lambda, device=lengths.device)


def equal_first_weight(settings: Settings) -> Slot:
    """q^(1/(l-1)), q = exp(-1/alpha): the reward reaches the first token with weight q at every length, without a clamp.

    The rule of AReaL (areal/trainer/ppo/lambda_fn.py); VAPO's wherever alpha l is large (METHODS.md R2).
    """
    return lambda lengths: torch.exp(-1 / (settings.alpha * (lengths - 1)))


VARIANTS = {"equal_first_weight": equal_first_weight}
