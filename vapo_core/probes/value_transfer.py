"""Is the critic as right on problems unlike the training ones? Its error and ranking there, like compared with like.

An error out of distribution may only say that answers are longer there or hardly ever right. So places are weighted until
response length and true V are distributed alike in both splits, and both errors are shares of one Var(V).
"""

from typing import NamedTuple

import numpy as np

from vapo_core.oracles.intervals import LEAST_VARIANCE, above_zero
from vapo_core.oracles.matching import balanced, cells_of, effective_share, overlap_weights
from vapo_core.oracles.monte_carlo import sampled_truth, values_at
from vapo_core.oracles.truth import Truth, squared_error, value_variance
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.ranking import captured
from vapo_core.tasks.base import SPLITS
from vapo_core.training.collect import grade_all

RESPONSES, PLACES = 512, 512
"""Problems of each split answered once each, and places in the answers on text; every token where values are exact."""

HALF = 16
"""Continuations of a place in each of two halves: one gives V for the weights, one for the error. Were it one, places
whose luck was good would be matched with places that are."""

LENGTH_BINS, VALUE_BINS = 4, 16
"""Bins of equal weight that places are matched in."""

LEAST_SHARE, LEAST_RIGHT = 0.02, 0.01
"""Effective share of places, and share of answers that are right, below which nothing is compared."""

OUTSIDE = SPLITS[2:]

METRICS: dict[str, tuple[str, str]] = {
    f"value_transfer/{name}_{split}": (unit, f"{meaning}, split {split}")
    for split in OUTSIDE
    for name, unit, meaning in (
        ("fvu", "share of Var(V)", "critic's squared error out of distribution on matched places, noise taken out"),
        ("fvu_inside", "share of Var(V)", "the same on held-out problems in distribution, matched with this split"),
        ("excess", "share of Var(V)", "the first minus the second"),
        ("excess_unmatched", "share of Var(V)", "the same unweighted, each over its own Var(V)"),
        ("bias", "reward", "mean of V_hat - V on matched places out of distribution, minus that on held-out ones"),
        ("effective", "share", "places that matching leaves, (sum w)^2 / (n sum w^2), the smaller of both splits"),
        ("value", "reward", "mean of true V over places, unmatched"),
        ("value_inside", "reward", "the same on held-out problems"),
        ("gap_captured", "share", "gap in true V between alternative next steps that the critic captures"),
        ("gap_captured_inside", "share", "the same on held-out problems"),
        ("gap_lost", "share", "the second minus the first: ranking lost out of distribution"),
    )
}  # fmt: skip


class Judged(NamedTuple):
    """Places of one split."""

    truth: Truth
    """With V that errors are read on."""
    other: np.ndarray
    """[N] V from the other half of the continuations, for the weights; the same where values are exact."""
    prompts: np.ndarray
    """[N] prompt of each place."""


def measure(view: View) -> Measurement:
    """Matched FVU and gap captured on every split out of distribution, against held-out problems in distribution.

    FVU_split = sum w ((V_hat - V)^2 - noise) / Var(V), Var(V) of the matched places of both splits. What is left out: a
    split whose matched Var(V) is too near 0 or that shares too few places with the held-out problems, and its ranking if
    alternatives do not differ there.
    """
    if not view.recipe.credit.needs_critic:
        raise CannotRun("value_transfer: this recipe has no critic")
    splits = [split for split in view.world.task.splits if split in OUTSIDE]
    if not splits:
        raise CannotRun("value_transfer: this task has no split out of distribution")
    metrics: dict[str, float] = {}
    inside = judged(view, "held_out")
    for split in splits if inside else []:
        outside = judged(view, split)
        found = compared(inside, outside) if inside and outside else {}
        metrics |= {f"value_transfer/{name}_{split}": x for name, x in found.items()}
    if not metrics:
        raise CannotRun("value_transfer: no split has places like those of held-out problems whose values differ")
    return Measurement(metrics | _ranked(view, [split for split in splits if f"value_transfer/fvu_{split}" in metrics]))


def judged(view: View, split: str) -> Judged | None:
    """Places of answers to problems of a split, drawn alike at every step; none if hardly any answer is right."""
    number = SPLITS.index(split)
    problems = view.world.task.sample(
        np.random.default_rng(view.seed("value_transfer/problems", number)), RESPONSES, split
    )
    rollout = view.world.engine.generate(problems, 1, view.seed("value_transfer/responses", number))
    if np.mean([grade.reward for grade in grade_all(view.world.task, problems, 1, rollout)]) < LEAST_RIGHT:
        return None
    truth = sampled_truth(
        view.world, problems, rollout, view.seed("value_transfer/values", number), view.settings, PLACES, HALF
    )
    at = (view.world, rollout, problems, truth.row, truth.time)
    other = (
        values_at(*at, HALF, view.seed("value_transfer/other_values", number))[0] if truth.noise.any() else truth.value
    )
    return Judged(truth, other, np.array([problem.prompt for problem in problems])[truth.row])


def compared(inside: Judged, outside: Judged) -> dict[str, float]:
    """Errors on places matched in length and V; nothing if too few are alike or their V does not clearly vary."""
    weights = matched(inside, outside)
    effective = min(effective_share(w) for w in weights)
    variance = matched_variance((inside, outside), weights)
    if effective < LEAST_SHARE or variance is None:
        return {}
    both = list(zip((inside.truth, outside.truth), weights, strict=True))
    fvu_inside, fvu = (float(w @ ((x.critic - x.value) ** 2 - x.noise)) / variance for x, w in both)
    bias_inside, bias = (float(w @ (x.critic - x.value)) for x, w in both)
    found = {
        "fvu": fvu,
        "fvu_inside": fvu_inside,
        "excess": fvu - fvu_inside,
        "bias": bias - bias_inside,
        "effective": effective,
        "value": float(outside.truth.value.mean()),
        "value_inside": float(inside.truth.value.mean()),
    }
    own = [value_variance(x) for x, _ in both]
    if min(own) > LEAST_VARIANCE:
        errors = [squared_error(x) / v for (x, _), v in zip(both, own, strict=True)]
        found["excess_unmatched"] = errors[1] - errors[0]
    return found


def matched(inside: Judged, outside: Judged) -> tuple[np.ndarray, np.ndarray]:
    """[N], [M] weights of places: common shares of cells of length and V, then mean and mean square of V brought together.

    V here is that of the other half. All 0 if the splits share no cell.
    """
    columns = [[x.truth.length.astype(float), x.other] for x in (inside, outside)]
    weights = overlap_weights(*cells_of(columns[0], columns[1], [LENGTH_BINS, VALUE_BINS]))
    if not weights[0].any():
        return weights
    moments = [np.stack([x.value, x.value**2 - x.noise], 1) for x in (inside.truth, outside.truth)]
    target = (weights[0] @ moments[0] + weights[1] @ moments[1]) / 2
    guides = [np.stack([x.other, x.other**2], 1) for x in (inside, outside)]
    first, second = (balanced(w, g, m, target) for w, g, m in zip(weights, guides, moments, strict=True))
    return first, second


def matched_variance(both: tuple[Judged, Judged], weights: tuple[np.ndarray, np.ndarray]) -> float | None:
    """Var(V) of matched places, both splits counting half; None if it is not clear of 0, or below LEAST_VARIANCE."""
    value, noise = (np.concatenate([getattr(x.truth, name) for x in both]) for name in ("value", "noise"))
    weight, prompts = np.concatenate(weights) / 2, np.concatenate([x.prompts for x in both])

    def variance(rows: np.ndarray) -> float:
        w, v = weight[rows], value[rows]
        total = w.sum()
        return float(w @ ((v - w @ v / total) ** 2 - noise[rows]) / total) if total else 0.0

    found = variance(np.arange(len(value)))
    clear = found >= LEAST_VARIANCE and (not noise.any() or above_zero(variance, prompts))
    return found if clear else None


def _ranked(view: View, splits: list[str]) -> dict[str, float]:
    """Gap captured by split and what of it is lost, where alternatives differ."""
    found: dict[str, float] = {}
    gaps = {split: _gap(view, split) for split in ("held_out", *splits)}
    for split in splits:
        here, there = gaps["held_out"], gaps[split]
        if here is not None and there is not None:
            named = {"gap_captured": there, "gap_captured_inside": here, "gap_lost": here - there}
            found |= {f"value_transfer/{name}_{split}": x for name, x in named.items()}
    return found


def _gap(view: View, split: str) -> float | None:
    number = SPLITS.index(split)
    problems = view.world.task.sample(
        np.random.default_rng(view.seed("value_transfer/baseline_problems", number)), RESPONSES, split
    )
    try:
        return captured(view, problems, "value_transfer/gap", number)["gap_captured"]
    except CannotRun:
        return None
