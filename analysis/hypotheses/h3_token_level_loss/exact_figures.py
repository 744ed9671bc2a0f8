"""Figure of h3b at the exact level."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from analysis.hypotheses.exact_tables import at
from analysis.hypotheses.h3_token_level_loss.exact import BATCHES, CRITICS, quality, rows_of
from analysis.plots.drawing import COLOURS, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.tables.schema import Tables

KEYS = ["shared", "spare", "kind"]
MARKS = dict(zip(CRITICS, "os^", strict=True))
"""Kind of error -> mark."""
DASHES = {1.25: "-", 4.0: "--"}
"""Length limit over mean length -> line."""
TINT = dict(zip((True, False), COLOURS.values(), strict=False))
LOGITS = {True: "one set of logits", False: "by position"}
"""By whether positions share their logits."""

THRESHOLD = 0.18


def figures(tables: Tables) -> dict[str, Drawing]:
    """Quality by batch, noise per signal, and variances against R6's formula; nothing without rows."""
    table = rows_of(tables)
    if not len(table):
        return {}
    return {"h3b_exact": picture(at(table[table["length"] == table["length"].max()], lam=1.0))}


def by_batch(shown: pd.DataFrame) -> pd.DataFrame:
    """Mean log[Q_token / Q_sequence] with its 95 % interval, by cell and number of responses."""
    rows = [
        (*key, batch, *student(quality(part, batch).dropna()), len(part))
        for key, part in shown.groupby(KEYS)
        for batch in BATCHES
    ]
    return pd.DataFrame(rows, columns=[*KEYS, "responses", "mean", "low", "high", "families"])


def noise(shown: pd.DataFrame) -> pd.DataFrame:
    """Mean log ratio of noise over signal with its 95 % interval, by cell; the signal along grad J, and all of it."""
    rows = [
        (*key, signal, *student(part[name]), len(part))
        for key, part in shown.groupby(KEYS)
        for signal, name in (("along grad J", "log_noise"), ("all of it", "log_spread"))
    ]
    return pd.DataFrame(rows, columns=[*KEYS, "signal", "mean", "low", "high", "families"])


def picture(shown: pd.DataFrame) -> Drawing:
    """Left: quality by batch. Middle: noise per signal. Right: raw variances, formula against number, a mark per family."""
    parts = {"quality": by_batch(shown), "noise": noise(shown)}
    with canvas(7.2, 3.2) as figure:
        left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
        _qualities(left, parts["quality"])
        _noises(middle, parts["noise"])
        for shared, part in shown.groupby("shared"):
            right.plot(
                part["log_formula"], part["log_variance"], ".", color=TINT[bool(shared)], markersize=3, alpha=0.5
            )
        ends = [min(shown["log_formula"].min(), shown["log_variance"].min()), 0.0]
        right.plot(ends, ends, ":", color="0.5", linewidth=1)
        right.set(xlabel="R6's formula, nats", ylabel="found, nats", title="variances, scale included")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=7,
                      handletextpad=0.4, columnspacing=1.2)  # fmt: skip
    alt = (
        "Left: log quality of token over sequence mean at 64, 512 and 4,096 responses, mean over families with 95 % interval;"
        " above 0 token mean is worth more responses. Middle: log ratio of noise over signal, tr S over the squared part of"
        " the expected gradient along grad J, open marks: over all of it; above 0 token mean needs more responses."
        " Circles: exact critic, squares: constant baseline, triangles: state error of 0.1; full lines: length limit 1.25"
        " times the mean, broken lines: 4 times."
        " Right: log ratio of the variances, scale included, against R6's formula; on the dotted line they agree."
    )
    data = [part.assign(panel=name) for name, part in parts.items()] + [shown.assign(panel="variance")]
    return Drawing(figure, pd.concat(data, ignore_index=True).drop(columns=["spec"]), alt)


def _qualities(axes: Axes, table: pd.DataFrame) -> None:
    """A line per cell; one of every colour and dash is named."""
    for (shared, spare, kind), part in table.groupby(KEYS):
        label = f"{LOGITS[bool(shared)]}, {spare:g}×" if kind == "none" else None
        axes.plot(
            part["responses"],
            part["mean"],
            DASHES[float(str(spare))],
            color=TINT[bool(shared)],
            linewidth=1,
            label=label,
        )
        _bars(axes, part["responses"], part, bool(shared), str(kind))
    for kind, mark in MARKS.items():
        axes.plot([], [], mark, color="0.3", markersize=3.5, label=CRITICS[kind])
    _band(axes)
    axes.set(xscale="log", xlabel="responses per gradient", ylabel="log[Q token / Q sequence], nats",
             title="worth of a gradient")  # fmt: skip
    axes.set_xticks(BATCHES, [f"{batch:,}" for batch in BATCHES])
    axes.minorticks_off()


def _noises(axes: Axes, table: pd.DataFrame) -> None:
    """Two marks per cell, open where the signal is all of the expected gradient: limits side by side, critics within them."""
    for (shared, spare, kind, signal), part in table.groupby([*KEYS, "signal"]):
        place = list(DASHES).index(float(str(spare))) + 0.25 * (list(MARKS).index(str(kind)) - 1)
        _bars(axes, np.array([place]), part, bool(shared), str(kind), signal == "all of it")
    _band(axes)
    axes.set_xticks(range(len(DASHES)), [f"limit {spare:g}×" for spare in DASHES])
    axes.set(ylabel="token over sequence, nats", title="noise over signal", xlim=(-0.5, len(DASHES) - 0.5))


def _bars(axes: Axes, x: ArrayLike, part: pd.DataFrame, shared: bool, kind: str, hollow: bool = False) -> None:
    """Means with their intervals."""
    spread = np.nan_to_num(np.maximum([part["mean"] - part["low"], part["high"] - part["mean"]], 0))
    axes.errorbar(x, part["mean"], yerr=spread, fmt=MARKS[kind], color=TINT[shared], markersize=3.5, capsize=1.5,
                  linewidth=1, markerfacecolor="white" if hollow else TINT[shared])  # fmt: skip


def _band(axes: Axes) -> None:
    """What is too small to matter."""
    axes.axhspan(-THRESHOLD, THRESHOLD, color="0.92", zorder=-1)
    axes.axhline(0, color="0.5", linewidth=0.8, zorder=0)
