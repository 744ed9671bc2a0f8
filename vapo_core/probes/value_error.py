"""How wrong is the critic, where, and against what it could know? Truth is exact in the walk, Monte-Carlo on text."""

from typing import NamedTuple

import numpy as np

from vapo_core.oracles.intervals import LEAST_VARIANCE, interval_of, resolvable
from vapo_core.oracles.monte_carlo import sampled_truth
from vapo_core.oracles.truth import (
    Truth,
    calibration_error,
    calibration_line,
    position_variance,
    squared_error,
    unexplained,
    value_variance,
)
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.types import Problem, Rollout

RESPONSES = 128
"""Held-out and training problems answered once each."""

KEPT = 64
"""Places of each split whose numbers are kept as arrays; metrics are read on all."""

SPLITS = ("held_out", "train")

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"value_error/{name}_{split}": (unit, f"{meaning}, {split.replace('_', '-')} problems")
        for split in SPLITS
        for name, unit, meaning in (
            ("fvu", "share of Var(V)", "critic's squared error to true V, noise taken out"),
            ("fvu_low", "share of Var(V)", "lower end of its 95 % jackknife interval over prompts"),
            ("fvu_high", "share of Var(V)", "upper end of its 95 % jackknife interval over prompts"),
            ("fvu_position", "share of Var(V)", "the same for the best critic that depends on position alone"),
            (
                "fvu_monte_carlo",
                "share of Var(V)",
                "the same for the mean of 16 continuations, which is its noise; absent where values are exact",
            ),
            ("bias", "reward", "mean of V_hat - V"),
            ("slope", "ratio", "calibration: slope of true V on V_hat, 1 is right; absent if V_hat does not vary"),
            ("intercept", "reward", "calibration: intercept of true V on V_hat, 0 is right"),
            ("calibration", "share of Var(V)", "squared error that relabelling V_hat would remove, noise taken out"),
            ("var_v", "reward^2", "variance of true V over places"),
        )
    },
    **{
        f"value_error/fvu_q{q}": ("share of Var(V)", f"critic's squared error in quarter {q} of held-out responses")
        for q in range(1, 5)
    },
}


def measure(view: View) -> Measurement:
    """Fraction of Var(V) left unexplained (FVU), bias and calibration; by quarter; held-out and training problems.

    FVU(z) = E[(V_hat - V)^2 | z] / Var(V), both debiased for continuation noise; Var(V) over all places of the split, so
    quarters add up. The best constant has FVU 1. The error of calibration is the part of FVU that a function of V_hat
    alone would mend; the rest is a matter of telling places apart. A split whose Var(V) is not resolvable is left out.
    """
    metrics: dict[str, float] = {}
    arrays: list[tuple[str, Truth]] = []
    for split in SPLITS:
        truth, prompts, *_ = truth_of(view, split)
        metrics |= _of_split(split, truth, prompts)
        arrays.append((split, truth.where(evenly(len(truth.value), KEPT))))
    if not metrics:
        raise CannotRun("value_error: Var(V) is too near 0 to explain any of it")
    return Measurement(metrics, _columns(arrays))


class Places(NamedTuple):
    """Where the critic is judged."""

    truth: Truth
    prompts: np.ndarray
    """[N] prompt of each place: the clusters of intervals."""
    rollout: Rollout
    """The responses they are in."""
    problems: list[Problem]
    """The problem of each response."""


def truth_of(
    view: View, split: str, stream: str = "value_error", responses: int = RESPONSES, places: int = 128
) -> Places:
    """Places of one answer to each of some problems; drawn alike at every step.

    Args:
        stream: whose random numbers are drawn.
        places: on text; every token where values are exact.

    Raises:
        CannotRun: if the recipe has no critic.
    """
    if not view.recipe.credit.needs_critic:
        raise CannotRun("value_error: this recipe has no critic")
    number, problems = SPLITS.index(split), {"held_out": view.held_out, "train": view.pool}[split]
    repeated = [problems[i % len(problems)] for i in range(responses)]
    rollout = view.world.engine.generate(repeated, 1, view.seed(f"{stream}/responses", number))
    truth = sampled_truth(view.world, repeated, rollout, view.seed(f"{stream}/places", number), view.settings, places)
    return Places(truth, np.array([problem.prompt for problem in repeated])[truth.row], rollout, repeated)


def _of_split(split: str, truth: Truth, prompts: np.ndarray) -> dict[str, float]:
    if not resolvable(truth, prompts):
        return {}
    variance = value_variance(truth)
    found = {
        "fvu": unexplained(truth),
        "bias": float(np.mean(truth.critic - truth.value)),
        "fvu_position": position_variance(truth) / variance,
        "var_v": variance,
    }
    if len(np.unique(prompts)) > 1:
        _, found["fvu_low"], found["fvu_high"] = interval_of(unexplained, truth, prompts)
        found["calibration"] = calibration_error(truth, prompts) / variance
    if truth.noise.any():
        found["fvu_monte_carlo"] = float(truth.noise.mean()) / variance
    if truth.critic.var() > LEAST_VARIANCE:
        found["slope"], found["intercept"] = calibration_line(truth)
    named = {f"value_error/{name}_{split}": x for name, x in found.items() if not np.isnan(x)}  # nan: none to compare
    return named | (_by_quarter(truth, variance) if split == "held_out" else {})


def _by_quarter(truth: Truth, variance: float) -> dict[str, float]:
    quarters = {q: truth.where(truth.quarter == q) for q in range(4)}
    return {f"value_error/fvu_q{q + 1}": squared_error(x) / variance for q, x in quarters.items() if len(x.value)}


def _columns(found: list[tuple[str, Truth]]) -> dict[str, np.ndarray]:
    names = [name for name in Truth._fields if name != "row"]
    columns = {name: np.concatenate([getattr(truth, name) for _, truth in found]) for name in names}
    held_out = np.concatenate([np.full(len(t.value), float(s == "held_out")) for s, t in found])
    return {"held_out": held_out, **columns}


def evenly(size: int, number: int) -> np.ndarray:
    """At most `number` of `size` indices, evenly spaced."""
    return np.unique(np.linspace(0, size - 1, min(size, number)).round().astype(int))
