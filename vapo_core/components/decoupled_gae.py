"""Decoupled GAE: value targets use a lambda of their own (VC-PPO, arXiv:2503.01491, section 4.2).

Slot: lambda_policy [B] -> lambda_value [B]. Off: the critic takes the policy's lambda.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from vapo_core.settings import Settings

Slot = Callable[[Tensor], Tensor]


def on(settings: Settings) -> Slot:
    """lambda_critic for every response (1.0 in the paper: Monte-Carlo targets)."""
    return lambda lam_policy: torch.full_like(lam_policy, settings.lambda_critic)


def off(settings: Settings) -> Slot:
    """Coupled: targets and advantages share one lambda, as in PPO."""
    return lambda lam_policy: lam_policy


VARIANTS: dict = {}
