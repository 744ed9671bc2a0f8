"""Does the critic unlearn what the policy stops visiting? Its error on panels of places fixed by the starting policy.

The probe measures. Forgetting is the growth of `excess` since the end of value pretraining beyond that of a twin run, such as
one whose policy is frozen (policy_lr 0): for a comparison of runs to say.
"""

import numpy as np
import torch

from vapo_core.oracles.intervals import resolvable
from vapo_core.oracles.monte_carlo import truth_at
from vapo_core.oracles.rare_places import Panels, panels, replayable
from vapo_core.oracles.truth import Truth, squared_error, value_variance
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.types import Batch, Rollout
from vapo_core.worlds.base import World

CONTINUATIONS = 16
"""Continuations of a place under the present policy, by which the critic is judged."""

PANELS = ("rare", "frequent", "critical")

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"forgetting/{name}_{panel}": (unit, f"{meaning}, {panel} places of the starting policy")
        for panel in PANELS
        for name, unit, meaning in (
            (
                "fvu",
                "share of Var(V)",
                "critic's squared error to V under the present policy, over Var(V) of all places",
            ),
            ("fvu_position", "share of Var(V)", "the same for the best critic that depends on position alone"),
            ("visits", "ratio", "how often the current policy visits them, relative to the starting policy"),
        )
    },
    "forgetting/fvu_rare_kept": ("share of Var(V)", "the same on rare places of prompts that no twin run rehearses"),
    "forgetting/excess": ("share of Var(V)", "fvu_rare - fvu_frequent; forgetting is its growth, not its level"),
    "forgetting/var_v": ("reward^2", "variance over all places of V under the present policy"),
    "forgetting/shift": ("nats/response", "KL(starting policy || current policy)"),
}


def measure(view: View) -> Measurement:
    """FVU of the critic on rare, frequent and critical places, E = E[(V_hat - V)^2 | panel] / Var(V), V under the present policy.

    All panels share one Var(V), that over all places, so their difference has one unit while the scale of V drifts.
    """
    if not view.recipe.credit.needs_critic:
        raise CannotRun("forgetting: this recipe has no critic")
    start = view.world.start()
    fixed = panels(view.pool, start, view.seeds)
    problems, rollout, row, time, members = fixed
    if not (members["rare"].any() and members["frequent"].any()):
        raise CannotRun("forgetting: the starting policy reaches no place more rarely than others at its token")
    truth = truth_at(
        view.world, rollout, problems, row, time, CONTINUATIONS, view.seed("forgetting/values"), view.settings
    )
    if not resolvable(truth, fixed.prompts):
        raise CannotRun("forgetting: Var(V) is too near 0 to explain any of it")
    variance = value_variance(truth)
    visits = visit_ratio(view.world, start, fixed)
    position = position_error(truth)
    metrics = {"forgetting/var_v": variance, "forgetting/shift": _shift(view.world, start, rollout)}
    for panel, inside in members.items():
        if inside.any():
            metrics[f"forgetting/fvu_{panel}"] = squared_error(truth.where(inside)) / variance
            metrics[f"forgetting/visits_{panel}"] = float(visits[inside].mean())
        known = inside & np.isfinite(position)
        if known.any():
            metrics[f"forgetting/fvu_position_{panel}"] = float(position[known].mean()) / variance
    kept = members["rare"] & ~replayable(fixed)
    if kept.any():
        metrics["forgetting/fvu_rare_kept"] = squared_error(truth.where(kept)) / variance
    metrics["forgetting/excess"] = metrics["forgetting/fvu_rare"] - metrics["forgetting/fvu_frequent"]
    columns = {"time": time, "value": truth.value, "critic": truth.critic, "noise": truth.noise, "visits": visits}
    return Measurement(metrics, columns | {name: inside.astype(float) for name, inside in members.items()})


def visit_ratio(world: World, start: World, fixed: Panels) -> np.ndarray:
    """[N] probability that the present policy reaches each place, over the starting policy's."""
    present, first = (
        w.reach(fixed.problems, fixed.rollout).double().cpu().numpy()[fixed.row, fixed.time] for w in (world, start)
    )
    return np.exp(present - first)


def position_error(truth: Truth) -> np.ndarray:
    """[N] unbiased (m - V_i)^2, m the mean of V at the same token: the best position-only critic's error at each place.

    The mean over pairs j, k of others at that token of (V_i - V_j)(V_i - V_k), minus the noise of V_i; nan where there are
    no two others.
    """
    found = np.full(len(truth.value), np.nan)
    for label in np.unique(truth.time):
        inside = truth.time == label
        number = int(inside.sum()) - 1
        if number > 1:
            gaps = truth.value[inside][:, None] - truth.value[inside][None, :]
            products = gaps.sum(1) ** 2 - (gaps**2).sum(1)
            found[inside] = products / (number * (number - 1)) - truth.noise[inside]
    return found


@torch.no_grad()
def _shift(world: World, start: World, rollout: Rollout) -> float:
    """KL(start || world) in nats per response, the mean log ratio on the starting policy's responses.

    Not k3: once policies are far apart its ratios have a variance that no sample can bear.
    """
    batch = Batch.ungraded(rollout)
    return float((start.policy(batch)[0] - world.policy(batch)[0]).sum(1).mean())
