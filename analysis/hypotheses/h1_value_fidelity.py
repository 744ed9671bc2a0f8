"""Limitation 1, value fidelity: how wrong the critic is and where, what its errors do, and whether it forgets."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.decisions import Verdict, verdict
from analysis.estimates import Other
from analysis.questions import LEVEL_OF, Question
from analysis.rows import ends, full_vapo, having
from analysis.schema import Tables

TEXT = ("text_walk", "chain")
"""Tasks whose tokens show their state, so that a critic can know anything."""

Weights = Mapping[str, float]
"""Metric -> weight in a sum."""

FLOOR, EXCESS = "approximation_floor/fvu_held_out", "approximation_floor/excess_held_out"
WHERE: dict[str, Weights] = {
    "FVU of the critic": {FLOOR: 1, EXCESS: 1},
    "FVU of the approximation floor": {FLOOR: 1},
    "excess in the first quarter of a response minus in the last": {
        "approximation_floor/excess_q1": 1, "approximation_floor/excess_q4": -1,
    },
    "excess on held-out problems minus on training ones": {EXCESS: 1, "approximation_floor/excess_train": -1},
    "FVU of the best value that knows the position alone, minus the critic's": {
        "value_error/fvu_position_held_out": 1, "value_error/fvu_held_out": -1,
    },
    "FVU of the mean of 16 continuations (its noise)": {"value_error/fvu_monte_carlo_held_out": 1},
}  # fmt: skip
"""What else is said of h1a; the best constant has FVU 1."""

PLAIN, TWIN = full_vapo(), {**full_vapo(), "variants": "rehearsal=rare"}
FIXED_LAMBDA = full_vapo("length_adaptive_gae")
RATE: dict[str, float] = {"walk": 2e-3, "lm": 4e-4}
"""The policy's own rate in each world."""

RARE: Weights = {"forgetting/fvu_rare_kept": 1, "forgetting/fvu_frequent": -1}
CRITICAL: Weights = {"forgetting/fvu_critical": 1, "forgetting/fvu_frequent": -1}
SHIFT = "forgetting/shift"

PER = 0.1
"""Standard deviation that a slope is stated per, reward: VinePPO found critics off by 0.11."""
AUC_MATTERS = 0.02


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """All three questions."""
    judges = {"h1a": h1a, "h1b": h1b, "h1c": h1c}
    return [row for id, judge in judges.items() for row in judge(tables, questions[id], preset)]


# --- h1a: how wrong, and where ---


def h1a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Excess over the approximation floor: both tasks of text, each of them, the walk; and where it lies."""
    runs = {task: having(tables.runs, {"world": "lm", "task": task, **PLAIN}) for task in TEXT}
    walk = having(tables.runs, {"world": "walk", **PLAIN})
    rows = []
    theta = over_tasks(tables, runs, {EXCESS: 1})
    if len(theta):
        explained = 1 - over_tasks(tables, runs, {FLOOR: 1}).reindex(theta.index).mean()
        rows.append(verdict(question, "tiny_lm", theta, preset, bool(explained >= question.floor.least)))
    for task, own in runs.items():
        rows += _said(question, "lm", mean_of_ends(tables, own, {EXCESS: 1}), preset, f"the same on {task} alone")
    rows += _said(
        question, "walk", mean_of_ends(tables, walk, {EXCESS: 1}), preset, "the same on the walk, values exact"
    )
    for what, weights in WHERE.items():
        rows += _said(question, "lm", over_tasks(tables, runs, weights), preset, what)
        rows += _said(question, "walk", mean_of_ends(tables, walk, weights), preset, what)
    return rows


def _said(
    question: Question, world: str, theta: pd.Series, preset: str, what: str, unit: str = "", threshold: float = 0.0
) -> list[Verdict]:
    """A secondary row, or none without seeds."""
    if not len(theta):
        return []
    other = Other(what, unit or question.unit, threshold or question.threshold)
    return [verdict(other.of(question), LEVEL_OF[world], theta, preset, estimand=what)]


def weighed(tables: Tables, runs: pd.DataFrame, weights: Weights) -> pd.DataFrame:
    """[S, (before, after)] a weighted sum of metrics before the first and after the last step, by seed.

    Raises:
        ValueError: if a seed has two runs with these metrics, which then differ in something that was not asked for.
    """
    found = np.sum([weight * ends(tables, runs, metric) for metric, weight in weights.items()], axis=0)
    wide = pd.DataFrame(found, index=runs["seed"].to_numpy(), columns=["before", "after"]).dropna()
    if wide.index.has_duplicates:
        raise ValueError(
            f"seed {wide.index[wide.index.duplicated()][0]} has two runs that measured {', '.join(weights)}"
        )
    return wide


def mean_of_ends(tables: Tables, runs: pd.DataFrame, weights: Weights) -> pd.Series:
    """[S] mean of both measurements."""
    return weighed(tables, runs, weights).mean(axis=1)


def over_tasks(tables: Tables, runs: Mapping[str, pd.DataFrame], weights: Weights) -> pd.Series:
    """[S] the same, mean over tasks of seeds that have all of them."""
    wide = pd.concat([mean_of_ends(tables, own, weights) for own in runs.values()], axis=1, join="inner")
    return wide.mean(axis=1)


# --- h1b: what errors do ---


def h1b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Learned levels: fall of AUC per 0.1 of error in the advantages, by world, lambda, kind of error and of length."""
    rows = []
    for world in ("walk", "lm"):
        for (kind, fixed, lam), falls in falls_of(tables, world).items():
            length = "one length" if fixed else "lengths that vary"
            what = f"fall of AUC per {PER} of {ERROR_NAMES[kind]}, lambda {lam:g}, responses of {length}"
            rows += _said(question, world, falls, preset, what, "AUC", AUC_MATTERS)
    return rows


ERROR_NAMES: dict[str, str] = {
    "state": "a frozen error by state",
    "position": "a frozen error by position alone",
    "fresh": "an error drawn afresh for every token",
}
Cell = tuple[str, bool, float]
"""Kind of error, whether all responses have one length, lambda."""


def doses(tables: Tables, world: str) -> dict[Cell, pd.DataFrame]:
    """AUC by cell: [S, D], columns standard deviations of the error rising from 0, seeds that have them all."""
    runs = having(tables.runs, {"world": world, **{k: v for k, v in FIXED_LAMBDA.items() if k != "variants"}})
    if not len(runs):
        return {}
    fixed = runs["dials.fixed_length"].fillna(False).astype(bool) if "dials.fixed_length" in runs else False
    wrong = runs["variants"].str.extract(r"^values=(\w+)_error$", expand=False)
    runs = runs.assign(
        fixed=fixed, kind=wrong.fillna(""), dose=runs["settings.value_error_sd"].where(wrong.notna(), 0.0)
    )
    plain = runs[runs["variants"] == ""]
    found = {}
    keys = ["kind", "fixed", "settings.fixed_lambda"]
    for _, part in runs[runs["kind"] != ""].groupby(keys):
        kind, one_length, lam = part[keys].iloc[0]
        same = ["fixed", "settings.fixed_lambda", "steps", "task", *(c for c in ("dials.horizon",) if c in runs)]
        own = plain.merge(part[same].drop_duplicates(), on=same)
        wide = pd.concat([own, part]).pivot_table(index="seed", columns="dose", values="auc", aggfunc="first").dropna()
        if len(wide) and wide.shape[1] > 1:
            found[str(kind), bool(one_length), float(lam)] = wide
    return found


def falls_of(tables: Tables, world: str) -> dict[Cell, pd.Series]:
    """[S] least-squares slope of AUC on the error's standard deviation, times -0.1, by cell."""
    return {cell: -PER * slopes(wide.columns.to_numpy(float), wide) for cell, wide in doses(tables, world).items()}


def slopes(x: np.ndarray, wide: pd.DataFrame) -> pd.Series:
    """[S] least-squares slope of every row [S, D] on x [D]."""
    centred = x - x.mean()
    return wide @ centred / (centred @ centred)


# --- h1c: forgetting ---


def h1c(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Growth of the error on rare places beyond the twin's; with a frozen policy; on critical places; per nat of shift."""
    rows = []
    for world in ("walk", "lm"):
        pairs = paired_growth(tables, world, RARE)
        own = pairs[np.isclose(pairs["rate"], RATE[world])]
        if len(own):
            tested = was_tested(tables, world, own["seed"], question.floor.least)
            rows.append(verdict(question, LEVEL_OF[world], own["excess"], preset, tested))
            rows += _said(
                question, world, own["plain"], preset, "growth of E_rare - E_frequent alone, no twin taken off"
            )
        still = pairs[pairs["rate"] == 0.0]
        rows += _said(question, world, still["excess"], preset, "the same with a frozen policy (rate 0)")
        critical = paired_growth(tables, world, CRITICAL)
        critical = critical[np.isclose(critical["rate"], RATE[world])]
        rows += _said(
            question, world, critical["excess"], preset, "the same on critical places, some of them rehearsed"
        )
        rows += _said(
            question, world, per_nat(pairs), preset, "slope of D on the policy's shift, by its rate", "share/nat", 0.02
        )
    return rows


def paired_growth(tables: Tables, world: str, weights: Weights) -> pd.DataFrame:
    """A row per seed and rate that both twins have: `plain`, growth from t0 to t1, `excess` over the twin's, `shift` in nats."""
    parts = []
    for wanted in (PLAIN, TWIN):
        runs = having(tables.runs, {"world": world, **wanted})
        growth = np.sum([weight * ends(tables, runs, metric) for metric, weight in weights.items()], axis=0)
        shift = ends(tables, runs, SHIFT)[:, 1]
        keyed = pd.DataFrame({
            "seed": runs["seed"], "steps": runs["steps"], "task": runs["task"], "rate": runs.get("settings.policy_lr", np.nan),
            "plain": growth[:, 1] - growth[:, 0], "shift": shift, "spec": runs["spec"],
        })  # fmt: skip
        parts.append(keyed.dropna())
    pairs = parts[0].merge(parts[1], on=["seed", "steps", "task", "rate"], suffixes=("", "_twin"))
    return pairs.assign(excess=pairs["plain"] - pairs["plain_twin"])


def was_tested(tables: Tables, world: str, seeds: pd.Series, least: float) -> bool:
    """Whether the policy moved, and rare places were known at t0: below what the best position-only critic leaves there."""
    runs = having(tables.runs, {"world": world, **PLAIN, "settings.policy_lr": RATE[world], "seed": tuple(seeds)})
    moved = ends(tables, runs, SHIFT)[:, 1]
    known = ends(tables, runs, "forgetting/fvu_position_rare")[:, 0] - ends(tables, runs, "forgetting/fvu_rare")[:, 0]
    return bool(np.nanmean(moved) >= least and np.nanmean(known) > 0)


def per_nat(pairs: pd.DataFrame) -> pd.Series:
    """[S] least-squares slope of D on the shift over rates, of seeds with three rates or more."""
    found = {}
    for seed, part in pairs.groupby("seed"):
        if len(part) > 2:
            found[seed] = float(np.polyfit(part["shift"], part["excess"], 1)[0])
    return pd.Series(found, dtype=float)
