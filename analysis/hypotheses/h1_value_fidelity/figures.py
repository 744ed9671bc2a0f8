"""Figures of limitation 1: error by position in the response, cost of planted errors, rare and frequent places."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.drawing import COLOURS, GREY, INK, Drawing, canvas
from analysis.statistics.intervals import student

MARKS = (("o", "-", COLOURS["vapo"]), ("s", "--", COLOURS["ppo"]), ("^", "-.", COLOURS["grpo"]), ("D", ":", COLOURS["dapo"]),
         ("v", "--", COLOURS["vineppo"]))  # fmt: skip
"""Mark, dashes and colour by place in a legend."""

SUMMARY = ["mean", "low", "high", "seeds"]


def summary(values: pd.Series) -> pd.Series:
    """Mean over seeds with its 95 % Student interval, and how many."""
    found = values.dropna()
    return pd.Series([*student(found), len(found)], index=SUMMARY)


def by_quarter(points: pd.DataFrame, levels: pd.DataFrame) -> Drawing:
    """Errors of critic, group mean and floor by quarter of the response, a panel per task.

    Args:
        points: rows task, what, quarter, seed, value (share of Var(V)).
        levels: rows task, seed, value: the best position-only value's.
    """
    shown = points.groupby(["task", "what", "quarter"], sort=False)["value"].apply(summary).unstack().reset_index()
    tasks = list(dict.fromkeys(points["task"]))
    lines = levels.groupby("task")["value"].mean()
    with canvas(2.3 * len(tasks) + 0.6, 2.7) as figure:
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for axes, task in zip(panels, tasks, strict=True):
            for (what, part), (mark, dashes, colour), side in zip(
                shown[shown["task"] == task].groupby("what", sort=False), MARKS, (-0.08, 0.0, 0.08), strict=False
            ):
                _points(axes, part["quarter"] + side, part, mark, dashes, colour, str(what))
            axes.axhline(1.0, color=INK, linewidth=0.8, label="best constant")
            if task in lines:
                axes.axhline(
                    float(lines[task]), color=INK, linewidth=0.8, linestyle=":", label="best by position alone"
                )
            axes.set(title=task, xlabel="quarter of the response", xticks=[1, 2, 3, 4])
        panels[0].set(ylabel="FVU, share of Var(V)")
        panels[0].set_ylim(bottom=min(0.0, panels[0].get_ylim()[0]))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=4)
    position = pd.DataFrame({"task": lines.index, "what": "best position-only value", "mean": lines.to_numpy()})
    return Drawing(
        figure, pd.concat([shown, position], ignore_index=True),
        "Error of the critic, of the mean of other answers and of the approximation floor by quarter of the response,"
        " by task; solid line: the best"
        " constant, dotted: the best value that knows the position alone.",
    )  # fmt: skip


def doses(points: pd.DataFrame) -> Drawing:
    """AUC against the size of a planted error, each less the same seed's AUC without one; a panel per kind of length.

    Args:
        points: rows panel, line, sd, seed, value (AUC minus the plain run's).
    """
    shown = points.groupby(["panel", "line", "sd"])["value"].apply(summary).unstack().reset_index()
    panels, lines = list(dict.fromkeys(points["panel"])), list(dict.fromkeys(shown["line"]))
    with canvas(2.5 * len(panels) + 0.6, 3.2) as figure:
        picture = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(picture, panels, strict=True):
            for number, line in enumerate(lines):
                part = shown[(shown["panel"] == panel) & (shown["line"] == line)]
                mark, dashes, colour = MARKS[number % len(MARKS)]
                side = 0.004 * (number - (len(lines) - 1) / 2)
                _points(axes, part["sd"] + side * (part["sd"] > 0), part, mark, dashes, colour, line)
            axes.axhline(0.0, color=INK, linewidth=0.8)
            axes.set(title=panel, xlabel="sd of the error, reward")
        picture[0].set(ylabel="AUC less that without error")
        handles, labels = picture[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2, fontsize=7.5)
    return Drawing(
        figure, shown, "Change of the area under the learning curve against the size of an error planted in advantages, by"
        " kind of error and lambda, for responses whose lengths vary and for responses of one length.",
    )  # fmt: skip


def forgetting(levels: pd.DataFrame, pairs: pd.DataFrame) -> Drawing:
    """Left: error on rare and frequent places before and after, with rehearsal and without. Right: D against the shift.

    Args:
        levels: rows what, time (before, after), seed, value (share of Var(V)).
        pairs: rows rate (times the policy's own), seed, shift (nats), excess (D).
    """
    shown = levels.groupby(["what", "time"], sort=False)["value"].apply(summary).unstack().reset_index()
    dose = pairs.groupby("rate")[["shift", "excess"]].mean().reset_index()
    dose = dose.join(
        pairs.groupby("rate")["excess"].apply(summary).unstack().reset_index(drop=True)[["low", "high", "seeds"]]
    )
    with canvas(6.4, 2.9) as figure:
        left, right = figure.subplots(1, 2)
        for number, (what, part) in enumerate(shown.groupby("what", sort=False)):
            mark, dashes, colour = MARKS[number % len(MARKS)]
            at = np.array([0.0 if time == "before" else 1.0 for time in part["time"]]) + 0.02 * (number - 1)
            _points(left, pd.Series(at, index=part.index), part, mark, dashes, colour, str(what))
        left.set(ylabel="FVU, share of Var(V)", xticks=[0, 1], xlim=(-0.2, 1.2))
        left.set_xticklabels(["before RL", "after"])
        left.set_ylim(bottom=0)
        left.legend(frameon=False, fontsize=7.5, loc="best")
        right.plot(pairs["shift"], pairs["excess"], ".", color=GREY, markersize=2.5, zorder=0)
        error = [dose["excess"] - dose["low"], dose["high"] - dose["excess"]]
        right.errorbar(
            dose["shift"], dose["excess"], yerr=error, fmt="o-", color=COLOURS["vapo"], capsize=3, markersize=4
        )
        for _, row in dose.iterrows():
            right.annotate(f"x{row['rate']:g}", (row["shift"], row["excess"]), textcoords="offset points", xytext=(4, 5),
                           fontsize=7.5)  # fmt: skip
        right.axhline(0.0, color=INK, linewidth=0.8)
        right.set(xlabel="policy's shift, nats per response", ylabel="D, share of Var(V)")
    data = pd.concat([shown, dose.rename(columns={"excess": "mean"}).assign(what="D", time="after minus before")])
    return Drawing(
        figure, data.reset_index(drop=True), "Critic's error on rare and on frequent places before and after training, with"
        " and without rehearsal; and forgetting D against how far the policy moved, at several rates.",
    )  # fmt: skip


def _points(
    axes: Axes, x: pd.Series, part: pd.DataFrame, mark: str, dashes: str, colour: tuple[float, float, float], label: str
) -> None:
    error = np.stack([part["mean"] - part["low"], part["high"] - part["mean"]])
    axes.errorbar(
        x, part["mean"], yerr=np.nan_to_num(error), fmt=mark, linestyle=dashes, color=colour, markersize=4, capsize=2,
        linewidth=1.1, label=label,
    )  # fmt: skip
