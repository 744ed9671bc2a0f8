"""Length-adaptive GAE: lambda_policy = 1 - 1 / (alpha l) (VAPO, arXiv:2504.05118, eq. 8).

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


VARIANTS: dict = {}
