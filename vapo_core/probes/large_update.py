"""What would the recipe's update do to J without sampling noise, and how often does noise turn it downward? (h6a)

From the weights the run has reached: one update with many times the responses and equally many optimiser steps, and several
sampled ones of the recipe's own size.
"""

import copy
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from vapo_core.components.group_sampling import SamplingPlan
from vapo_core.functional.losses import linear_weights
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.directions import summed_gradient
from vapo_core.probes.improvement import compare
from vapo_core.probes.policy_shift import credited_batch, stepped, updated_policy
from vapo_core.recipe import Recipe
from vapo_core.training.learner import Learner
from vapo_core.types import AdvantageBatch, Batch

TIMES = 32
"""Responses of the large update over those of the recipe's."""

DRAWS = 8
"""Sampled updates from the same weights."""

_LARGE = (
    ("delta_j", "reward", "exact change of J over the training problems"),
    ("predicted", "reward", "its gain according to the recipe's objective, per response"),
    ("predicted_se", "reward", "standard error of that"),
    ("surrogate", "reward", "sum over a response of (ratio - 1) times the true advantage"),
    ("objective_gap", "reward", "surrogate - predicted: critic bias, lambda, reduction, clip and extra losses"),
    ("shift", "reward", "delta_j - surrogate: the new policy visits other states"),
    ("tv", "share", "total variation between new and old policy, mean over tokens"),
    ("bound_clip", "reward", "most the shift can be if every ratio stays within the clip (R8)"),
    ("bound_seen", "reward", "most the shift can be if every ratio stays within those seen (R8)"),
)

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"large_update/{name}": (unit, f"an update of {TIMES} times the responses: {text}")
        for name, unit, text in _LARGE
    },
    "large_update/signal": ("reward", "mean exact change of J over sampled updates from the same weights"),
    "large_update/noise": ("reward", "its standard deviation over them"),
    "large_update/sampled_down": ("share", "sampled updates that lower J by more than 1e-6"),
}


FALLS = -1e-6
"""A change of J below this is a fall: single precision does not tell smaller ones from 0."""


def measure(view: View) -> Measurement:
    """The exact change of J by a large update and by several sampled ones, all from the present weights.

    Raises:
        CannotRun: where J is not known exactly: a sign read off a noisy J is wrong too often to be counted.
    """
    change = view.world.exact_changes(view.pool)
    if change is None:
        raise CannotRun("large_update: signs of changes of J are counted only where J is exact")
    after = large_update(view)
    split = compare(view, after, "large_update").metrics
    metrics = {name: split[f"improvement/{name}"] for name, *_ in _LARGE if f"improvement/{name}" in split}
    metrics["delta_j"] = change(after)
    changes = np.array([change(updated_policy(view, "large_update/sampled", draw)) for draw in draws_of(view.step)])
    metrics |= {
        "signal": float(changes.mean()),
        "noise": float(changes.std(ddof=1)),
        "sampled_down": float(np.mean(changes < FALLS)),
    }
    return Measurement({f"large_update/{name}": x for name, x in metrics.items()}, {"sampled_delta_j": changes})


def draws_of(step: int) -> range:
    """Numbers of the sampled updates of a step: other ones at every step."""
    return range(DRAWS * step, DRAWS * (step + 1))


def large_update(view: View) -> nn.Module:
    """A copy of the policy after one update from `TIMES` times the responses, Adam's mean gradient that of theirs.

    A mean gradient left by sampled steps would carry their noise into this one; the mean square is the run's own.
    """
    plan = view.recipe.group_sampling
    grown = replace(view, recipe=replace(view.recipe, group_sampling=_times(plan)))
    batch, credited = credited_batch(grown, "large_update", view.step)
    policy = copy.deepcopy(view.policy)
    prime(policy, loss_gradient(policy.module, batch, credited, view.recipe))
    return stepped(grown, batch, credited, policy, "large_update", view.step)


def _times(plan: SamplingPlan) -> SamplingPlan:
    return plan._replace(prompts=TIMES * plan.prompts)


def loss_gradient(policy: nn.Module, batch: Batch, credited: AdvantageBatch, recipe: Recipe) -> Tensor:
    """[D] gradient of the recipe's policy loss at ratio 1, positive-example loss included, penalties and bonuses not."""
    like = credited.advantages
    surrogate = linear_weights(recipe.token_level_loss, like, batch.mask)
    imitation = linear_weights(recipe.positive_lm_loss, like, batch.mask, batch.correct)
    return summed_gradient(policy, batch, imitation - surrogate * credited.advantages)


def prime(policy: Learner, gradient: Tensor) -> None:
    """Put a gradient, clipped as the learner clips, in place of Adam's running mean; nothing where none has begun.

    After n steps Adam divides its mean by 1 - beta1^n; what is put in is less by that factor.
    """
    clipped = gradient * min(1.0, policy.max_grad_norm / (float(gradient.norm()) + 1e-6))
    beta, place = policy.optimizer.param_groups[0]["betas"][0], 0
    for parameter in (p for p in policy.module.parameters() if p.requires_grad):
        size, state = parameter.numel(), policy.optimizer.state.get(parameter)
        if state:
            begun = 1 - beta ** float(state["step"])
            state["exp_avg"].copy_(begun * clipped[place : place + size].view_as(parameter))
        place += size
