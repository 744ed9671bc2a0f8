"""Figures of limitation 4: escape by depth of the trap, and entropy over modes by J."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.drawing import COLOURS, INK, Drawing, canvas
from analysis.statistics.dose_response import d50
from analysis.statistics.intervals import student
from analysis.statistics.shares import wilson
from analysis.tables.rows import having, series
from analysis.tables.schema import Tables

ARMS = (("o", "-", COLOURS["vapo"]), ("s", "--", COLOURS["ppo"]), ("^", ":", COLOURS["grpo"]))
"""Mark, dashes and colour by place in a legend."""


def escape(runs: pd.DataFrame, arms: Mapping[str, Mapping[str, Any]], x: str) -> Drawing:
    """Share of directions escaped by depth, with intervals, and the depth of even odds of each arm.

    `runs` has a row per run and direction with `dose` (nats, said in words by `x`), `hit` and, where known, `expected` right
    answers of the base policy. Directions of one run depend on each other, so Wilson's intervals count runs.
    """
    tables = []
    with canvas(3.6, 3.0) as picture:
        axes = picture.subplots()
        for number, ((name, wanted), (mark, dashes, colour)) in enumerate(zip(arms.items(), ARMS, strict=False)):
            part = having(runs, wanted)
            if part["dose"].nunique() < 2:
                continue
            fitted = d50(part["dose"], part["hit"])
            grid = np.linspace(part["dose"].min(), part["dose"].max(), 100)
            axes.plot(grid, 1 / (1 + np.exp(fitted.slope * (grid - fitted.d50))), dashes, color=colour, linewidth=1.2)
            found = pd.DataFrame(
                [
                    (
                        name,
                        dose,
                        *wilson(there["hit"].mean() * there["spec"].nunique(), there["spec"].nunique()),
                        there["spec"].nunique(),
                        fitted.d50,
                    )
                    for dose, there in part.groupby("dose")
                ],
                columns=["arm", "depth", "share", "low", "high", "runs", "d50"],
            )
            tables.append(found)
            axes.errorbar(
                found["depth"] + 0.08 * (number - 0.5), found["share"],
                yerr=[found["share"] - found["low"], found["high"] - found["share"]],
                fmt=mark, color=colour, markersize=4, capsize=2, linewidth=1, label=f"{name}: half at {fitted.d50:.1f} nats",
            )  # fmt: skip
        if "expected" in runs:
            _expected(axes, runs.groupby("dose")["expected"].mean())
        axes.set(xlabel=x, ylabel="directions escaped, share", ylim=(-0.04, 1.04))
        axes.legend(frameon=False, loc="lower left", fontsize=7.5)
    shown = pd.concat(tables) if tables else pd.DataFrame()
    return Drawing(
        picture, shown, "Share of directions in which the trap is escaped, by its depth and by arm, with intervals."
    )


def _expected(axes: Axes, expected: pd.Series) -> None:
    """Lines at the depths where so many right answers were to be expected of the base policy, by depth."""
    for count in (100, 10, 1):
        if expected.min() < count < expected.max():
            place = float(np.interp(-np.log(count), -np.log(expected.to_numpy()), expected.index.to_numpy(float)))
            axes.axvline(place, color="0.75", linewidth=0.8, zorder=0)
            axes.text(place, 1.04, f"{count:g}", ha="center", color=INK, fontsize=7.5)
    axes.set_title("right answers expected of the base:", fontsize=7.5, loc="left", pad=14)


def modes(tables: Tables, arms: tuple[pd.DataFrame, ...]) -> Drawing:
    """Entropy over the two right ways against J, with the loss, without, and without but faster; bands over seeds."""
    names = ("with the loss", "without", "without, 1.2 times the rate")
    grid, rows = np.linspace(0.3, 0.98, 35), []
    with canvas(3.6, 2.8) as picture:
        axes = picture.subplots()
        for name, part, (_, dashes, colour) in zip(names, arms, ARMS, strict=True):
            curves = _against(tables, part, "exploration/exact_solved", "exploration/exact_mode_entropy", grid)
            found = [student(column[~np.isnan(column)]) for column in curves.T] if len(curves) else []
            rows += [(name, j, *x, int((~np.isnan(c)).sum())) for j, x, c in zip(grid, found, curves.T, strict=True)]
            mean, low, high = np.array(found).T if found else (np.empty(0),) * 3
            axes.plot(grid[: len(mean)], mean, dashes, color=colour, label=name)
            axes.fill_between(grid[: len(mean)], low, high, color=colour, alpha=0.18, linewidth=0)
        axes.axvline(0.9, color="0.75", linewidth=0.8, zorder=0)
        axes.set(xlabel="J where it is first reached", ylabel="entropy over modes, share of log 2", ylim=(0, 1))
        axes.legend(frameon=False, loc="lower left", fontsize=7.5)
    return Drawing(
        picture, pd.DataFrame(rows, columns=["arm", "j", "mean", "low", "high", "seeds"]),
        "Normalised entropy over the two right ways against J, mean over seeds with a 95 % Student interval, by arm.",
    )  # fmt: skip


def _against(tables: Tables, runs: pd.DataFrame, x: str, y: str, grid: np.ndarray) -> np.ndarray:
    """[S, grid] y where x first reaches each place of the grid, linear between measurements; nan beyond."""
    across, up = series(tables, runs["spec"], x), series(tables, runs["spec"], y)
    rows = []
    for a, b in zip(across.to_numpy(float), up.reindex(columns=across.columns).to_numpy(float), strict=True):
        known = ~(np.isnan(a) | np.isnan(b))
        best = np.maximum.accumulate(a[known])
        new = np.concatenate([[True], np.diff(best) > 0]) if known.any() else np.zeros(0, bool)
        rows.append(
            np.interp(grid, best[new], b[known][new], left=np.nan, right=np.nan) if new.any() else grid * np.nan
        )
    return np.array(rows).reshape(len(rows), len(grid))
