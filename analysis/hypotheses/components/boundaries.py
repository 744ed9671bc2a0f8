"""Where does full VAPO fall under half of what is achievable? One panel over two dials, a number per cell."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.drawing import INK, Drawing, canvas
from analysis.statistics.intervals import student

HALF = 0.5
"""Of the J of 1 that every problem of the walk allows, and of the score of 1 of a probe."""

COLUMNS: tuple[str, ...] = ("x", "y", "mean", "low", "high", "seeds", "fails")


def cells(runs: pd.DataFrame, x: str, y: str, value: str = "last") -> pd.DataFrame:
    """One row per pair of dial values, columns `COLUMNS`: mean over seeds, its 95 % interval, and whether it is under half.

    Values of a dial that were tried at few values of the other belong to other questions and are left out.

    Args:
        runs: rows of full VAPO that differ in the two dials and the seed alone.
        x: column of a dial. y: column of another.
        value: column that is at best 1.
    """
    rows = []
    for _, part in _mapped(runs.dropna(subset=[value]), x, y).groupby([x, y], sort=True):
        mean, low, high = student(part[value])
        rows.append((*part[[x, y]].iloc[0].astype(float), mean, low, high, len(part), mean < HALF))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _mapped(runs: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Without values of x tried at less than half as many y as the best, then without y that lack an x."""
    if not len(runs):
        return runs
    tried = runs.groupby(x)[y].transform("nunique")
    runs = runs[tried > tried.max() / 2]
    tried = runs.groupby(y)[x].transform("nunique")
    return runs[tried == tried.max()]


def figure(table: pd.DataFrame, x: str, y: str, value: str = "J after the last step") -> Drawing:
    """The map: colour and number are the mean over seeds, a thick line parts cells under half from the others."""
    across, up = (np.sort(table[name].unique()) for name in ("x", "y"))
    means = table.pivot(index="y", columns="x", values="mean").reindex(index=up, columns=across).to_numpy(float)
    with canvas(0.55 * len(across) + 1.5, 0.34 * len(up) + 1.1) as picture:
        axes = picture.subplots()
        shown = axes.imshow(means, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for row, column in zip(*np.nonzero(~np.isnan(means)), strict=True):
            ink = "white" if means[row, column] < HALF else INK
            axes.text(column, row, f"{means[row, column]:.2f}", ha="center", va="center", color=ink, fontsize=7.5)
        _outline(axes, means)
        axes.set_xticks(range(len(across)), [f"{v:g}" for v in across])
        axes.set_yticks(range(len(up)), [f"{v:g}" for v in up])
        axes.set(xlabel=x, ylabel=y)
        axes.tick_params(length=0)
        picture.colorbar(shown, ax=axes, label=value, ticks=[0, 0.5, 1])
    failing, seeds = int(table["fails"].sum()), int(table["seeds"].max()) if len(table) else 0
    alt = (
        f"{value} of full VAPO by {x} and {y}: under half in {failing} of {len(table)} cells, up to {seeds} seeds each."
    )
    return Drawing(picture, table, alt)


def _outline(axes: Axes, means: np.ndarray) -> None:
    """A line along every edge between a cell under half and one that is not."""
    fails = means < HALF
    for row, column in np.ndindex(*means.shape):
        if row + 1 < len(means) and fails[row, column] != fails[row + 1, column]:
            axes.plot([column - 0.5, column + 0.5], [row + 0.5] * 2, color="white", linewidth=4, solid_capstyle="butt")
            axes.plot([column - 0.5, column + 0.5], [row + 0.5] * 2, color="black", linewidth=2)
        if column + 1 < means.shape[1] and fails[row, column] != fails[row, column + 1]:
            axes.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color="white", linewidth=4, solid_capstyle="butt")
            axes.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color="black", linewidth=2)
