"""Figures of limitation 7: samples to reach a level of J by number of decisions, and the place of blame for a planted error."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullLocator

from analysis.plots.drawing import COLOURS, GREY, Drawing, canvas
from analysis.statistics.intervals import student

STYLES = (("o", COLOURS["vapo"]), ("s", COLOURS["ppo"]), ("^", COLOURS["grpo"]))


def samples(runs: pd.DataFrame, height: float) -> Drawing:
    """Samples to a J against decisions on log axes: geometric means with 95 % intervals; arrows where runs are censored.

    `runs` has arm, decisions, samples (all of a run that did not get there) and seen.
    """
    rows = []
    with canvas(3.6, 2.8) as picture:
        axes = picture.subplots()
        for number, (name, part) in enumerate(runs.groupby("arm", sort=False)):
            mark, colour = STYLES[number % len(STYLES)]
            for decisions, there in part.groupby("decisions"):
                mean, low, high = np.exp(student(np.log(there["samples"])))
                rows.append(
                    (name, float(np.asarray(decisions)), mean, low, high, len(there), int((~there["seen"]).sum()))
                )
            found = pd.DataFrame([row for row in rows if row[0] == name]).iloc[:, 1:]
            across, mean, low, high = found.to_numpy(float).T[:4]
            shifted = across * 1.04 ** (number - 1)
            axes.errorbar(shifted, mean, yerr=[mean - low, high - mean], fmt=mark + "-", color=colour, markersize=4,
                          capsize=2, linewidth=1, label=str(name))  # fmt: skip
            for at, top, short in zip(shifted, mean, found.to_numpy(float)[:, 5], strict=True):
                if short:
                    axes.annotate(f"↑{short:.0f}", (at, top), textcoords="offset points", xytext=(4, 3), fontsize=7)
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = sorted(runs["decisions"].unique())
        axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        _plain_numbers(axes.yaxis)
        axes.set(xlabel="decisions of a shortest right answer", ylabel=f"responses until J = {height:g}")
        axes.legend(frameon=False, fontsize=7.5, title="credit", alignment="left")
    names = ["arm", "decisions", "mean", "low", "high", "runs", "censored"]
    return Drawing(
        picture, pd.DataFrame(rows, columns=names),
        f"Responses until J = {height:g} against decisions, credit by token and by step, log axes.",
    )  # fmt: skip


def _plain_numbers(axis: Axis) -> None:
    """A log axis with 1, 2 and 5 of every decade, written out."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.set_minor_locator(NullLocator())


def blame(errors: pd.DataFrame, binned: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Drawing:
    """Share of blame inside the erring step against length, with the trained critic's values and with true ones.

    `errors` has seed, length, share and share_exact; `binned` gives [bins, 2] mean length and share of one seed.
    """
    rows = []
    with canvas(3.6, 2.8) as picture:
        axes = picture.subplots()
        for number, (column, name) in enumerate((("share", "trained critic"), ("share_exact", "true values"))):
            if column not in errors:
                continue
            mark, colour = STYLES[number]
            points = [binned(p["length"].to_numpy(float), p[column].to_numpy(float)) for _, p in errors.groupby("seed")]
            complete = [x for x in points if len(x) == max(map(len, points))]
            found = [
                (
                    name,
                    float(np.mean([x[b, 0] for x in complete])),
                    *student([x[b, 1] for x in complete]),
                    len(complete),
                )
                for b in range(max(map(len, points)))
            ]
            rows += found
            across, mean, low, high = np.array([row[1:5] for row in found], float).T
            axes.errorbar(across, mean, yerr=[mean - low, high - mean], fmt=mark + "-", color=colour, markersize=4,
                          capsize=2, linewidth=1, label=name)  # fmt: skip
            if column == "share":
                axes.plot(across, mean[0] * across[0] / across, ":", color=GREY, linewidth=1, label="∝ 1 / length")
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            _plain_numbers(axis)
        axes.set(xlabel="length, tokens", ylabel="share of blame in the erring step")
        axes.legend(frameon=False, fontsize=7.5)
    names = ["values", "length", "share", "low", "high", "seeds"]
    return Drawing(
        picture, pd.DataFrame(rows, columns=names),
        "Share of blame inside the erring step against length under VAPO's rule, mean over seeds with a 95 % interval.",
    )  # fmt: skip
