"""A network with its optimiser, rate schedule and gradient clip: what the update steps and a checkpoint keeps."""

import math
from functools import cached_property
from typing import Any

import torch
from torch import nn

from vapo_core.distributed.ranks import Ranks, Single
from vapo_core.settings import Settings


class Learner:
    """One trained network."""

    def __init__(
        self,
        module: nn.Module,
        lr: float,
        settings: Settings,
        total_steps: int,
        warmup_steps: int = 0,
        ranks: Ranks | None = None,
    ) -> None:
        """Args: lr, the peak AdamW rate; total_steps and warmup_steps, in RL steps; ranks, whose gradients are summed."""
        self.module, self.ranks = module, ranks or Single()
        self.max_grad_norm = settings.max_grad_norm
        self.optimizer = torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad],
            lr=lr,
            betas=(settings.adam_beta1, settings.adam_beta2),
            weight_decay=settings.weight_decay,
            fused=True,  # all tensors in one call: a tenth of a walk run's time
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_factor(step, settings.lr_schedule, warmup_steps, total_steps)
        )

    @cached_property
    def forward(self) -> nn.Module:
        """The module to call for gradients, wrapped for distributed training once its initial weights are loaded."""
        return self.ranks.prepare(self.module, self.optimizer)

    @property
    def lr(self) -> float:
        """The rate of the next optimiser step."""
        return float(self.schedule.get_last_lr()[0])

    def step(self) -> float:
        """Clip, step, clear; returns the gradient norm before clipping (not finite: nothing is stepped)."""
        parameters = self.optimizer.param_groups[0]["params"]
        norm = self.ranks.clip(parameters, self.max_grad_norm)
        if math.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def end_of_rl_step(self) -> None:
        """Advance the rate schedule, which counts RL steps rather than optimiser steps."""
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Optimiser and schedule; the weights are saved by the world in its own format."""
        return {"optimizer": self.ranks.whole_state(self.optimizer), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; before `forward` is first asked for."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def rate_factor(step: int, schedule: str, warmup_steps: int, total_steps: int) -> float:
    """Factor on the peak rate at an RL step: linear rise over `warmup_steps`, then constant, linear or cosine to 0."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    shapes = {"constant": 1.0, "linear": 1.0 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}
    return shapes[schedule]
