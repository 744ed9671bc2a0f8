"""Figures of limitation 5: the critic's error out of distribution, and accuracy there at equal held-out accuracy."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.hypotheses.h1_value_fidelity.figures import MARKS, SUMMARY, summary
from analysis.plots.drawing import COLOURS, DASHES, INK, Drawing, canvas
from analysis.statistics.intervals import student

WHAT: dict[str, str] = {
    "excess": "FVU, matched in length and V",
    "excess_unmatched": "FVU, unmatched",
    "gap_lost": "gap captured, lost",
}
"""Numbers of probe value_transfer that are drawn, out of distribution minus in distribution (lost: the reverse)."""

NAMES = {"lm": "chain: operator and composition", "walk": "walk: hazard"}
LEAST = 0.5
"""Share of a recipe's seeds that a point of a curve must have to be drawn."""


def transfer(points: pd.DataFrame, threshold: float) -> Drawing:
    """A row per split: matched and unmatched excess of FVU, and ranking lost; band: below the threshold.

    Args:
        points: rows where, what, seed, value.
        threshold: of the question.
    """
    shown = points.groupby(["where", "what"], sort=False)["value"].apply(summary).unstack().reset_index()
    places = list(dict.fromkeys(shown["where"]))
    with canvas(5.2, 0.55 * len(places) + 1.5) as figure:
        axes = figure.subplots()
        for number, (what, (mark, _, colour)) in enumerate(zip(WHAT.values(), MARKS, strict=False)):
            part = shown[shown["what"] == what]
            if not len(part):
                continue
            at = np.array([places.index(where) for where in part["where"]]) + 0.22 * (number - 1)
            error = np.nan_to_num(np.stack([part["mean"] - part["low"], part["high"] - part["mean"]]))
            axes.errorbar(part["mean"], at, xerr=error, fmt=mark, color=colour, markersize=4, capsize=2, label=what)
        calm = shown[
            shown["what"] != WHAT["excess_unmatched"]
        ]  # whose denominators may be near 0: cut where it runs off
        reach = 1.15 * float(np.nanmax(np.abs([*calm["low"], *calm["high"], *calm["mean"], 3 * threshold])))
        axes.set_xlim(-reach, reach)
        axes.axvspan(-threshold, threshold, color="0.93", zorder=0)
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(places)), places)
        axes.set_ylim(len(places) - 0.5, -0.5)
        axes.set(xlabel="lost out of distribution, share of Var(V) or of the gap")
        figure.legend(loc="outside lower center", frameon=False, ncols=2, fontsize=7.5)
    return Drawing(
        figure, shown, "What the critic loses on problems out of distribution: error at matched length and value, error"
        " unmatched, and ranking of next steps, by split, mean over seeds with 95 % intervals; grey: below the threshold.",
    )  # fmt: skip


def skill(points: pd.DataFrame, heights: Mapping[str, float]) -> Drawing:
    """Accuracy out of distribution against held-out accuracy first reached, by recipe; a panel per world.

    Args:
        points: rows world, recipe, seed, inside, outside.
        heights: held-out accuracy at which the question compares, by world.
    """
    rows = []
    worlds = list(dict.fromkeys(points["world"]))
    with canvas(3.2 * len(worlds) + 0.4, 3.0) as figure:
        panels = figure.subplots(1, len(worlds), squeeze=False)[0]
        for axes, world in zip(panels, worlds, strict=True):
            for recipe, own in points[points["world"] == world].groupby("recipe", sort=False):
                curve = (
                    own.groupby("inside")["outside"]
                    .apply(lambda x: pd.Series([*student(x), len(x)], SUMMARY))
                    .unstack()
                )
                curve = curve[curve["seeds"] >= max(2, LEAST * own["seed"].nunique())]
                rows.append(curve.reset_index().assign(world=world, recipe=recipe))
                name = str(recipe)
                axes.plot(curve.index, curve["mean"], DASHES[name], color=COLOURS[name], label=name)
                axes.fill_between(
                    curve.index, curve["low"], curve["high"], color=COLOURS[name], alpha=0.15, linewidth=0
                )
            axes.axvline(heights[world], color="0.7", linewidth=0.8, zorder=0)
            axes.set(title=NAMES[world], xlabel="held-out accuracy first reached")
            axes.set_ylim(max(0.0, axes.get_ylim()[0]), min(1.0, axes.get_ylim()[1]))
        panels[0].set(ylabel="accuracy out of distribution")
        panels[-1].legend(frameon=False, loc="upper left")
    data = pd.concat(rows, ignore_index=True)[["world", "recipe", "inside", *SUMMARY]]
    return Drawing(
        figure, data, "Accuracy out of distribution against the held-out accuracy at which it was measured, by recipe, mean"
        " over seeds with a 95 % band; grey line: where the arms are compared.",
    )  # fmt: skip
