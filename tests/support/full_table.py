"""The walk's exact values over every state at every decision: slow and plain, what faster ways are tested against."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vapo_core.tasks.walk import ACTIONS


def action_table(world: Any) -> Tensor:
    """[horizon, states, 3] action probabilities."""
    states, horizon = torch.arange(world.task.states), world.task.dials.horizon
    rows = world.policy.log_probs(states.repeat(horizon), torch.arange(horizon).repeat_interleave(len(states)))
    return rows.exp().view(horizon, len(states), ACTIONS)


def exact_values(world: Any, stop_reward: np.ndarray | None = None) -> Tensor:
    """[horizon + 1, states] true value before each decision; the last row is what a walk is worth that was cut off."""
    probabilities = action_table(world)
    reward = torch.from_numpy(world.task.stop_reward if stop_reward is None else stop_reward).to(probabilities)
    ending = world.task.ending
    onward = torch.from_numpy(world.task.transitions[:, :ending])
    values = [reward if world.task.dials.fixed_length else torch.zeros_like(reward)]
    for at in reversed(probabilities):
        values.append((at[:, ending:] * reward[:, None]).sum(1) + (at[:, :ending] * values[-1][onward]).sum(1))
    return torch.stack(values[::-1])
