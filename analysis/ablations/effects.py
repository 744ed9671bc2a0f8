"""The table of effects: every arm against the reference, per seed."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.intervals import Interval, paired, smallest_threshold, student
from analysis.tables import paper
from analysis.tables.arms import in_order, parse
from analysis.tables.schema import CELL

ENOUGH_SEEDS = 16
"""Pairs below which a difference is an illustration rather than evidence for a verdict (METHODS.md, section 1)."""

COLUMNS: tuple[str, ...] = (
    "arm", "change", "component", "seeds", "diverged", "pairs",
    "last", "last_low", "last_high", "auc", "auc_low", "auc_high",
    "auc_diff", "auc_diff_low", "auc_diff_high", "auc_diff_sd",
    "last_diff", "last_diff_low", "last_diff_high",
    "activity", "tokens_ratio", "mean_length", "paper", "paper_diff",
)  # fmt: skip


def ablation_table(runs: pd.DataFrame, reference: str, level: float = 0.95) -> pd.DataFrame:
    """One row per arm, columns `COLUMNS`; the reference first, then recipes, then changes in component order.

    Scores and their differences (arm minus reference, over the seeds both have) are in [0, 1] and [-1, 1]; `_low` and
    `_high` bound Student intervals, nan below two runs. `activity` is over the reference's runs for a removal, over the
    arm's own for an addition. `tokens_ratio` is of total generated tokens over the shared seeds. `paper` is in points.

    Raises:
        ValueError: if the reference has no run, an arm has a seed twice, or runs that may not be compared are mixed.
    """
    _check(runs, reference)
    reference_runs = runs[runs["arm"] == reference].set_index("seed")
    rows = [
        _row(label, runs[runs["arm"] == label].set_index("seed"), reference_runs, reference, level)
        for label in in_order(runs["arm"], reference)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def smallest_effect(table: pd.DataFrame) -> tuple[int, float]:
    """(fewest pairs of any arm, smallest threshold in AUC those pairs can serve), nan below five pairs.

    The threshold in sd of a paired difference (`intervals.SMALLEST_THRESHOLD`) is multiplied by the median such sd over
    arms; (0, nan) without arms.
    """
    others = table[table["auc_diff"].notna()]
    if others.empty:
        return 0, float("nan")
    pairs = int(others["pairs"].min())
    return pairs, smallest_threshold(pairs) * float(others["auc_diff_sd"].median())


def _check(runs: pd.DataFrame, reference: str) -> None:
    if reference not in set(runs["arm"]):
        raise ValueError(f"no run of the reference arm {reference!r} among {sorted(set(runs['arm']))}")
    for name in CELL:
        if runs[name].nunique() > 1:
            raise ValueError(
                f"runs differ in {name} ({', '.join(map(str, runs[name].unique()))}): compare them separately"
            )
    twice = runs[runs.duplicated(["arm", "seed"])]
    if len(twice):
        arm, seed = twice.iloc[0][["arm", "seed"]]
        raise ValueError(
            f"arm {arm!r} has two runs with seed {seed}: its runs differ in a setting, compare them separately"
        )


def _row(label: str, own: pd.DataFrame, reference_runs: pd.DataFrame, reference: str, level: float) -> dict[str, Any]:
    arm = parse(label)
    shared = own.index.intersection(reference_runs.index)
    a, b = own.loc[shared], reference_runs.loc[shared]
    row: dict[str, Any] = {
        "arm": label,
        "change": "reference" if label == reference else arm.change,
        "component": arm.component,
        "seeds": len(own),
        "diverged": int((own["state"] == "diverged").sum()),
        "pairs": len(shared),
        **_named("last", student(own["last"], level)),
        **_named("auc", student(own["auc"], level)),
        "activity": _activity(arm.component, reference_runs if arm.change == "removal" else own),
        "tokens_ratio": a["tokens"].sum() / b["tokens"].sum() if len(shared) else np.nan,
        "mean_length": own["mean_length"].mean(),
        "paper": paper.points(label),
        "paper_diff": paper.difference(label, reference),
    }
    if label == reference:
        return row | {"paper_diff": np.nan}
    gaps = (a["auc"] - b["auc"]).to_numpy(float)
    return (
        row
        | _named("auc_diff", paired(a["auc"], b["auc"], level))
        | _named("last_diff", paired(a["last"], b["last"], level))
        | {"auc_diff_sd": gaps.std(ddof=1) if len(gaps) > 1 else np.nan}
    )


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _activity(component: str, runs: pd.DataFrame) -> float:
    return float(runs[f"activity_{component}"].mean()) if component else float("nan")
