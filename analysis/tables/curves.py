"""Learning curves as numbers: mean over seeds with an interval, per arm and RL step."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.intervals import student
from analysis.tables.schema import Tables

COLUMNS: tuple[str, ...] = ("arm", "step", "tokens", "mean", "low", "high", "seeds")


class Points(NamedTuple):
    """What one run recorded of one metric."""

    steps: NDArray[np.float64]
    """[n] RL steps, increasing."""
    values: NDArray[np.float64]
    """[n] in the metric's unit."""


def bands(tables: Tables, metric: str, arms: list[str], level: float = 0.95) -> pd.DataFrame:
    """Mean of a metric over an arm's seeds at its evaluation steps, with a Student interval; columns `COLUMNS`.

    A run is read off linearly between its own points and not beyond its last, except that a diverged run counts 0 at
    every later step at which any run was evaluated. `tokens` is the mean of tokens generated so far, value pretraining
    included; it stands still after a divergence, and is nan if tokens/generated was not recorded.
    """
    points = tables.curves.dropna(subset=["value"]).sort_values("step")
    scores, tokens = (_series(points, name) for name in (metric, "tokens/generated"))
    runs = tables.runs[tables.runs["spec"].isin(scores)]
    everywhere = _steps(scores, runs["spec"])
    rows = []
    for arm in arms:
        own = runs[runs["arm"] == arm]
        crashed = (own["state"] == "diverged").any()
        grid = everywhere if crashed else _steps(scores, own["spec"])
        read = [
            read_off(scores[s], grid, state == "diverged") for s, state in zip(own["spec"], own["state"], strict=True)
        ]
        spent = [np.interp(grid, *tokens[s]) for s in own["spec"] if s in tokens]
        for i, step in enumerate(grid):
            there = np.array([x[i] for x in read if not np.isnan(x[i])])
            if there.size:
                used = np.mean([x[i] for x in spent]) if spent else np.nan
                rows.append((arm, int(step), float(used), *student(there, level), there.size))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read_off(points: Points, grid: NDArray[np.float64], diverged: bool) -> NDArray[np.float64]:
    """Values at the grid's steps: linear between points, nan before the first, 0 (diverged) or nan after the last."""
    return np.interp(grid, points.steps, points.values, left=np.nan, right=0.0 if diverged else np.nan)


def _series(points: pd.DataFrame, metric: str) -> dict[str, Points]:
    """Run -> what it recorded of the metric."""
    chosen = points[points["metric"] == metric]
    return {
        str(spec): Points(part["step"].to_numpy(float), part["value"].to_numpy(float))
        for spec, part in chosen.groupby("spec")
    }


def _steps(series: dict[str, Points], specs: pd.Series) -> NDArray[np.float64]:
    """Every step at which one of the runs was evaluated."""
    return np.unique(np.concatenate([[], *(series[s][0] for s in specs)]))
