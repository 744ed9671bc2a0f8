"""Tables for the questions about critics: errors at both ends of runs, AUC by planted error, growth beyond a twin's."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.tables.rows import ends, full_vapo, having
from analysis.tables.schema import Tables

TEXT: dict[str, dict[str, Any]] = {
    "text_walk": {"world": "lm", "task": "text_walk", "dials.size": 16},
    "chain": {"world": "lm", "task": "chain", "dials.glimpse": 0.15, "dials.longest": 7},
}
"""Tasks whose tokens show their state, so that a critic can know anything, by name; columns of their runs."""
LONG_WALK: dict[str, Any] = {"world": "lm", "task": "text_walk", "dials.size": 26}
"""The text walk on a longer ring."""

Weights = Mapping[str, float]
"""Metric -> weight in a sum."""

PLAIN, TWIN = full_vapo(), {**full_vapo(), "variants": "rehearsal=rare"}
FIXED_LAMBDA = {name: x for name, x in full_vapo("length_adaptive_gae").items() if name != "variants"}

SHIFT = "forgetting/shift"

PER = 0.1
"""Standard deviation that a slope is stated per, reward: VinePPO found critics off by 0.11."""

Cell = tuple[str, bool, float]
"""Kind of error, whether all responses have one length, lambda."""


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


def over_tasks(tables: Tables, runs: Mapping[str, pd.DataFrame], weights: Weights, time: str = "after") -> pd.Series:
    """[S] a weighted sum at one end, mean over tasks of seeds that have all of them. time: before or after."""
    wide = pd.concat([weighed(tables, own, weights)[time] for own in runs.values()], axis=1, join="inner")
    return wide.mean(axis=1)


def doses(tables: Tables, world: str) -> dict[Cell, pd.DataFrame]:
    """AUC by cell: [S, D], columns standard deviations of the error rising from 0, seeds that have them all."""
    runs = having(tables.runs, {"world": world, **FIXED_LAMBDA})
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


def own_growth(tables: Tables, specs: pd.Series) -> np.ndarray:
    """[N] growth of E_rare of these runs, their squared errors at both ends over Var(V) at the start.

    In a unit that stays: over the present Var(V), which falls as problems are solved, an error that stood still would grow.
    """
    runs = tables.runs.set_index("spec").loc[specs].reset_index()
    error, variance = (ends(tables, runs, f"forgetting/{name}") for name in ("fvu_rare_kept", "var_v"))
    return error[:, 1] * variance[:, 1] / variance[:, 0] - error[:, 0]


def per_nat(pairs: pd.DataFrame) -> pd.Series:
    """[S] least-squares slope of D on the shift over rates, of seeds with three rates or more."""
    found = {}
    for seed, part in pairs.groupby("seed"):
        if len(part) > 2:
            found[seed] = float(np.polyfit(part["shift"], part["excess"], 1)[0])
    return pd.Series(found, dtype=float)


def quarters(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors of critic, group mean and floor by task, quarter and seed; what the best position-only value leaves, by both."""
    points, levels = [], []
    cells = {**TEXT, "long text walk": LONG_WALK, "walk": {"world": "walk"}}
    metrics = {
        "critic": "baseline_error/fvu", "mean of other answers": "baseline_error/fvu_group_mean",
        "approximation floor": "approximation_floor/fvu",
    }  # fmt: skip
    for task, cell in cells.items():
        runs = having(tables.runs, {**cell, **PLAIN})
        for what, metric in metrics.items():
            for quarter in range(1, 5):
                found = weighed(tables, runs, {f"{metric}_q{quarter}": 1})["after"]
                points.append(pd.DataFrame({
                    "task": task, "what": what, "quarter": quarter, "seed": found.index, "value": found.to_numpy(),
                }))  # fmt: skip
        known = weighed(tables, runs, {"baseline_error/fvu_position_held_out": 1})["after"]
        levels.append(pd.DataFrame({"task": task, "seed": known.index, "value": known.to_numpy()}))
    return pd.concat(points, ignore_index=True), pd.concat(levels, ignore_index=True)


def dose_points(tables: Tables) -> pd.DataFrame:
    """AUC less the same seed's without error, by panel (world and kind of length), line (error and lambda) and size."""
    parts = []
    for world in ("walk", "lm"):
        for (kind, fixed, lam), wide in doses(tables, world).items():
            length = "one length" if fixed else "lengths vary"
            long = wide.sub(wide[0.0], axis=0).melt(ignore_index=False, var_name="sd").reset_index(names="seed")
            named = {"walk": f"walk, {length}", "lm": "text walk"}[world]
            parts.append(
                long.assign(panel=named, line=f"by {kind}, λ = {lam:g}" if kind != "fresh" else f"fresh, λ = {lam:g}")
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def twin_levels(tables: Tables, own: pd.DataFrame) -> pd.DataFrame:
    """Errors on both panels at both ends of plain and rehearsing runs."""
    parts = []
    for whose, column in (("", "spec"), (", rehearsed", "spec_twin")):
        runs = tables.runs[tables.runs["spec"].isin(own[column])]
        for panel, metric in (("rare", "forgetting/fvu_rare_kept"), ("frequent", "forgetting/fvu_frequent")):
            found = ends(tables, runs, metric)
            for at, time in enumerate(("before", "after")):
                parts.append(pd.DataFrame({
                    "what": panel + whose, "time": time, "seed": runs["seed"].to_numpy(), "value": found[:, at],
                }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)
