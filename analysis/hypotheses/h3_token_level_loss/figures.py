"""Figures of limitation 3: token mean and sequence mean compared at the same weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from analysis.plots.drawing import INK, Drawing, canvas

COLOUR = sns.color_palette("colorblind")
MARKS = (("o", "-", COLOUR[0]), ("s", "--", COLOUR[1]), ("^", ":", COLOUR[2]))
"""Mark, dashes and colour by place in a legend."""


def landscape(points: pd.DataFrame, strata: Mapping[str, Mapping[str, Any]], threshold: float) -> Drawing:
    """Log ratio of curvature per slope against the covariance of length and curvature; means of both strata.

    Args:
        points: cell, seed, step, covariance, log_ratio.
        strata: name -> effect, low, high; above 0 and below it.
        threshold: what matters, nats.
    """
    most = float(np.quantile(points["covariance"].abs(), 0.98)) or 1.0
    with canvas(3.6, 3.1) as picture:
        axes = picture.subplots()
        for (cell, part), (mark, _, colour) in zip(points.groupby("cell", sort=False), MARKS, strict=False):
            axes.plot(part["covariance"], part["log_ratio"], mark, color=colour, markersize=2.5, alpha=0.5,
                      label=f"base policy {cell}", markeredgewidth=0)  # fmt: skip
        for found, place in zip(strata.values(), (most / 2, -most / 2), strict=True):
            if found["seeds"]:
                bars = np.array([[found["effect"] - found["low"]], [found["high"] - found["effect"]]])
                axes.errorbar(place, found["effect"], yerr=bars, fmt="D", color=INK, markersize=5, capsize=4, zorder=5)
        _band(axes, threshold)
        axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
        spread = float(np.quantile(points["log_ratio"].abs(), 0.98)) * 1.2
        axes.set(xlim=(-1.1 * most, 1.1 * most), ylim=(-max(spread, 2 * threshold), max(spread, 2 * threshold)),
                 xlabel="covariance of length and curvature,\nshare of the curvature",
                 ylabel="log curvature per slope,\ntoken over sequence, nats")  # fmt: skip
        picture.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=7.5,
                     handletextpad=0.2)  # fmt: skip
    alt = "Log ratio of curvature per slope against the covariance of length and curvature, with the means of both strata."
    return Drawing(picture, points, alt + " Diamonds: means at the corrected level. Band: too small to matter.")


def noise(places: pd.DataFrame, threshold: float) -> Drawing:
    """Log ratio of noise over signal by task and RL step with 95 % intervals, and what R6 gives for variance alone."""
    alt = "Log of a gradient's noise over its signal, sequence mean over token mean, by task along training."
    return _along(places, "task", threshold, "log noise over signal,\nsequence over token, nats", alt, True)


def price(prices: pd.DataFrame, threshold: float) -> Drawing:
    """Log ratio of KL per squared gain along training, with the recipe's credit; lambda = 1 stands in the numbers."""
    alt = "Log of KL per squared gain of J, sequence mean over token mean, by task along training."
    label = "log KL per squared gain,\nsequence over token, nats"
    credits = list(prices.groupby("credit", sort=False))
    with canvas(3.5 * len(credits), 2.7) as picture:
        panels = picture.subplots(1, len(credits), sharey=True, squeeze=False)[0]
        for panel, (credit, part) in zip(panels, credits, strict=True):
            _lines(panel, part, "task", False)
            _band(panel, threshold)
            panel.set(xlabel="RL step", title=str(credit))
        panels[0].set_ylabel(label)
        panels[0].legend(frameon=False, fontsize=7.5)
    return Drawing(picture, prices, alt)


def _along(table: pd.DataFrame, by: str, threshold: float, label: str, alt: str, formula: bool) -> Drawing:
    with canvas(3.6, 3.0) as picture:
        axes = picture.subplots()
        _lines(axes, table, by, formula)
        _band(axes, threshold)
        axes.set(xlabel="RL step", ylabel=label)
        axes.legend(
            frameon=False, fontsize=7.5, title="thin: R6, variance alone" if formula else None, title_fontsize=7.5
        )
    return Drawing(picture, table, alt)


def _lines(axes: Axes, table: pd.DataFrame, by: str, formula: bool) -> None:
    """A line per group with its intervals, groups beside each other, and a thin line of what the formula gives."""
    for number, (name, part) in enumerate(table.groupby(by, sort=False)):
        mark, dashes, colour = MARKS[number]
        known = part[np.isfinite(part["log_ratio"])]
        x = known["step"].to_numpy(float) + 0.4 * (number - 1)
        bars = np.nan_to_num(np.stack([known["log_ratio"] - known["low"], known["high"] - known["log_ratio"]]))
        axes.errorbar(x, known["log_ratio"], yerr=bars, fmt=mark, linestyle=dashes, color=colour, markersize=4, capsize=2,
                      linewidth=1.2, label=str(name))  # fmt: skip
        if formula:
            axes.plot(part["step"], part["formula"], dashes, color=colour, linewidth=0.6)


def _band(axes: Axes, threshold: float) -> None:
    """What is too small to matter."""
    axes.axhspan(-threshold, threshold, color="0.92", zorder=-1)
    axes.axhline(0, color=INK, linewidth=0.8, zorder=0)
