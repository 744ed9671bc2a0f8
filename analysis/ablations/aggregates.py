"""Each arm's runs in one number or curve, as rliable has them: interquartile mean, probability of improvement, profile."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.plots.drawing import ACCENT, GREY, Drawing, canvas
from analysis.statistics.aggregate import iqm, performance_profile, probability_of_improvement
from analysis.statistics.bootstrap import cluster_bootstrap
from analysis.statistics.intervals import Interval
from analysis.tables.arms import short
from analysis.tables.terminal import NONE, interval

COLUMNS: tuple[str, ...] = (
    "arm", "seeds", "iqm", "iqm_low", "iqm_high", "better", "better_low", "better_high",
)  # fmt: skip

LEAST_SEEDS = 4
"""Below these an interquartile mean cuts nothing off, and a profile has next to no steps."""


def aggregates_table(runs: pd.DataFrame, arms: list[str], reference: str, level: float = 0.95) -> pd.DataFrame:
    """One row per arm of at least `LEAST_SEEDS` runs, columns `COLUMNS`, of the AUC of each run.

    `iqm` is the interquartile mean over seeds with a percentile bootstrap interval, seeds resampled, the generator seeded
    with 0. `better` is the probability that a run of the arm scores above a run of the reference, nan for the reference.
    """
    scores = {arm: runs.loc[runs["arm"] == arm, "auc"].to_numpy(float) for arm in arms}
    rows = []
    for arm, own in scores.items():
        if len(own) >= LEAST_SEEDS:
            mean = _iqm(own, level)
            better = (np.nan,) * 3
            if arm != reference and len(scores[reference]):
                better = probability_of_improvement(own, scores[reference], level)
            rows.append((arm, len(own), *mean, *better))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _iqm(scores: np.ndarray, level: float) -> Interval:
    """Interquartile mean of scores [S] with the bootstrap interval over seeds."""
    return cluster_bootstrap(
        lambda chosen: iqm(scores[chosen]), np.arange(len(scores)), np.random.default_rng(0), level=level
    )


class AggregateRow(NamedTuple):
    """One arm's line, as text."""

    arm: str
    iqm: str
    better: str
    seeds: str


def aggregate_rows(table: pd.DataFrame) -> list[AggregateRow]:
    """The table as text, with counts of the seeds that any arm has."""
    asked = int(table["seeds"].max()) if len(table) else 0
    return [
        AggregateRow(short(row["arm"]), interval(row, "iqm"), _better(row), f"{row['seeds']} of {asked}")
        for _, row in table.iterrows()
    ]


def _better(row: pd.Series) -> str:
    return NONE if np.isnan(row["better"]) else interval(row, "better")


def profiles(runs: pd.DataFrame, arms: list[str], reference: str) -> Drawing:
    """One panel per arm: the share of its runs whose AUC is above each threshold, against the reference's in grey."""
    others = [arm for arm in arms if arm != reference]
    scores = runs.loc[runs["arm"].isin(arms), "auc"].to_numpy(float)
    margin = 0.02 * (scores.max() - scores.min()) + 1e-3
    grid = np.linspace(max(0.0, scores.min() - margin), min(1.0, scores.max() + margin), 201)
    shares = {arm: performance_profile(runs.loc[runs["arm"] == arm, "auc"], grid) for arm in arms}
    columns = min(4, max(1, len(others)))
    rows = -(-len(others) // columns) or 1
    with canvas(8.4, 1.7 * rows + 0.6) as figure:
        panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for i, (panel, arm) in enumerate(zip(panels, others, strict=False)):
            panel.step(grid, shares[reference], where="post", color=GREY, linewidth=1.5)
            panel.step(grid, shares[arm], where="post", color=ACCENT, linewidth=1.5)
            panel.set_title(short(arm), loc="left")
            panel.tick_params(labelbottom=i + columns >= len(others))
        for panel in panels[len(others) :]:
            panel.remove()
        figure.supxlabel(f"AUC threshold (grey: {reference})", fontsize=9)
        figure.supylabel("share of runs above it", fontsize=9)
    data = pd.DataFrame([(arm, x, y) for arm in shares for x, y in zip(grid, shares[arm], strict=True)])
    data.columns = pd.Index(["arm", "threshold", "share"])
    return Drawing(figure, data, f"Performance profiles of {len(others)} arms, each against {reference} in grey.")
