"""A grid over two settings or dials: the mean score of every cell, with its mean response length."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.plots.drawing import Drawing, canvas
from analysis.tables.schema import COMPONENTS

LEAST_CELLS = 4


class Grid(NamedTuple):
    """Cells of a grid."""

    rows: str
    """Column of runs.csv that differs from row to row, such as settings.alpha."""
    columns: str
    cells: pd.DataFrame
    """One row per cell: the two columns, auc and mean_length (means over seeds), seeds."""


def detect(runs: pd.DataFrame) -> Grid | None:
    """The grid among runs that may be compared: two varied settings or dials, with toggles alike; None if there is none."""
    best: Grid | None = None
    for _, part in runs.groupby(["recipe", *COMPONENTS]):
        varied = [
            name for name in map(str, part) if name.startswith(("settings.", "dials.")) and part[name].nunique() > 1
        ]
        if len(varied) != 2:
            continue
        means = part.groupby(varied).agg(
            auc=("auc", "mean"), mean_length=("mean_length", "mean"), seeds=("seed", "nunique")
        )
        whole = part[varied[0]].nunique() * part[varied[1]].nunique()
        if len(means) >= max(LEAST_CELLS, whole) and (best is None or len(means) > len(best.cells)):
            best = Grid(varied[0], varied[1], means.reset_index())
    return best


def heatmap(grid: Grid) -> Drawing:
    """Mean AUC of every cell in colour and in print, with the mean response length in tokens under it."""
    auc, length = (grid.cells.pivot(index=grid.rows, columns=grid.columns, values=x) for x in ("auc", "mean_length"))
    scores, tokens = auc.to_numpy(float), length.to_numpy(float)
    with canvas(1.6 + 0.95 * scores.shape[1], 1.3 + 0.5 * scores.shape[0]) as figure:
        axes = figure.subplots()
        shown = axes.imshow(scores, cmap="cividis", aspect="auto")
        middle = (np.nanmin(scores) + np.nanmax(scores)) / 2
        for (i, j), score in np.ndenumerate(scores):
            colour = "white" if score < middle else "black"
            text = f"{score:.3f}\n{tokens[i, j]:.0f} tokens"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=7)
        axes.set_xticks(range(len(auc.columns)), [_level(x) for x in auc.columns])
        axes.set_yticks(range(len(auc.index)), [_level(x) for x in auc.index])
        axes.set(xlabel=_bare(grid.columns), ylabel=_bare(grid.rows))
        figure.colorbar(shown, label="AUC, mean over seeds")
    alt = f"Mean AUC over a grid of {_bare(grid.rows)} and {_bare(grid.columns)}, {len(grid.cells)} cells."
    return Drawing(figure, grid.cells, alt)


def _bare(column: str) -> str:
    return column.split(".", 1)[1]


def _level(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
