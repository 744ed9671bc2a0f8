"""The figures of an ablation: learning curves, one panel per changed component, and the forest of effects."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.drawing import ACCENT, COLOURS, DASHES, GREY, INK, Drawing, canvas
from analysis.tables.arms import parse, short
from analysis.tables.schema import SCORE_LABELS

CAPTION_BAND = "mean over seeds, band: 95 % Student interval"


def learning_curves(bands: pd.DataFrame, reference: str, metric: str) -> Drawing:
    """Score of the reference and the other recipes against RL steps and against generated tokens, two panels.

    `bands` is of `curves.bands`; arms that change one component are left to `component_curves`.
    """
    shown = bands[[parse(arm).change != "removal" and parse(arm).change != "addition" for arm in bands["arm"]]]
    with canvas(8.4, 3.4) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for arm, part in shown.groupby("arm", sort=False):
            _band(left, part, "step", str(arm), arm == reference)
            _band(right, part, "tokens", str(arm), arm == reference)
        left.set(xlabel="RL step", ylabel=f"{SCORE_LABELS.get(metric, metric)} (0 to 1)")
        right.set(xlabel="generated tokens, value pretraining included")
        right.xaxis.set_major_formatter(lambda x, _: _thousands(x))
        _floor(left)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside right center",
            frameon=False,
            title=CAPTION_BAND.replace(", ", ",\n"),
            alignment="left",
        )
    arms = ", ".join(shown["arm"].unique())
    return Drawing(
        figure, shown.reset_index(drop=True), f"Learning curves of {arms}: score against RL steps and tokens."
    )


def component_curves(bands: pd.DataFrame, reference: str, metric: str) -> Drawing:
    """One small panel per arm that changes one component: its curve against the reference's in grey, over RL steps."""
    arms = [arm for arm in bands["arm"].unique() if parse(arm).component]
    columns = min(4, max(1, len(arms)))
    rows = -(-len(arms) // columns) or 1
    with canvas(8.4, 2.0 * rows + 0.5) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        reference_band = bands[bands["arm"] == reference]
        for panel, arm in zip(panels, arms, strict=False):
            _line(panel, reference_band, GREY, "-", reference)
            _line(panel, bands[bands["arm"] == arm], ACCENT, "-", arm)
            panel.set_title(short(arm), loc="left")
        for panel in panels[len(arms) :]:
            panel.remove()
        for i, panel in enumerate(panels[: len(arms)]):
            panel.tick_params(labelbottom=i + columns >= len(arms))
        _floor(panels[0])
        figure.supxlabel(f"RL step ({CAPTION_BAND}; grey: {reference})", fontsize=9)
        figure.supylabel(f"{SCORE_LABELS.get(metric, metric)} (0 to 1)", fontsize=9)
    data = bands[bands["arm"].isin([reference, *arms])].reset_index(drop=True)
    return Drawing(figure, data, f"Learning curves of {len(arms)} arms, each against {reference} in grey.")


def effects_forest(table: pd.DataFrame, reference: str) -> Drawing:
    """Paired difference in AUC to the reference per arm, and beside it the paper's difference in points.

    `table` is of `effects.ablation_table`; arms without a pair are not drawn.
    """
    shown = table[table["auc_diff"].notna()].reset_index(drop=True)
    with canvas(8.4, 0.34 * len(shown) + 1.3) as figure:
        ours, theirs = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
        y = np.arange(len(shown))
        ours.errorbar(
            shown["auc_diff"],
            y,
            xerr=_arms_of_bar(shown),
            fmt="o",
            color=ACCENT,
            ecolor=ACCENT,
            capsize=3,
            markersize=3.5,
        )
        theirs.plot(shown["paper_diff"], y, "D", color=COLOURS["ppo"], markersize=5)
        for axes in (ours, theirs):
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.grid(axis="y", color="0.92")
            axes.set_axisbelow(True)
        ours.set_yticks(y, [short(arm) for arm in shown["arm"]])
        ours.set_ylim(len(shown) - 0.5, -0.5)
        ours.set(xlabel=f"AUC, arm − {reference} (95 % Student interval, paired by seed)", title="these runs")
        theirs.set(xlabel=f"AIME24 points, arm − {reference}", title="VAPO paper, Table 1")
        if shown["paper_diff"].isna().all():
            theirs.text(0.5, 0.5, "not in the paper", transform=theirs.transAxes, ha="center")
            theirs.set_xticks([])
    columns = ["arm", "pairs", "auc_diff", "auc_diff_low", "auc_diff_high", "paper_diff"]
    return Drawing(
        figure, shown[columns], f"Paired difference in AUC to {reference} per arm, and the paper's difference."
    )


def _band(axes: Axes, part: pd.DataFrame, x: str, arm: str, main: bool) -> None:
    known = part[part[x].notna()]
    _line(axes, known, COLOURS.get(arm, GREY), DASHES.get(arm, "-"), arm, x, 2.2 if main else 1.5)


def _line(
    axes: Axes,
    part: pd.DataFrame,
    colour: tuple[float, float, float],
    dashes: str,
    label: str,
    x: str = "step",
    width: float = 1.5,
) -> None:
    axes.plot(part[x], part["mean"], color=colour, linestyle=dashes, linewidth=width, label=label)
    axes.fill_between(part[x], part["low"], part["high"], color=colour, alpha=0.18, linewidth=0)


def _arms_of_bar(shown: pd.DataFrame) -> np.ndarray:
    """[2, rows] distances from the estimate down and up; nan, hence no bar, without an interval."""
    down, up = shown["auc_diff"] - shown["auc_diff_low"], shown["auc_diff_high"] - shown["auc_diff"]
    return np.stack([down.to_numpy(float), up.to_numpy(float)])


def _floor(axes: Axes) -> None:
    """Scores are never negative and never above 1; intervals may be, and are cut there."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), min(1.0, high))


def _thousands(x: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:g}{letter}"
    return f"{x:g}"
