"""Figures of h2a and h2b at the exact level."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.hypotheses.exact_tables import at
from analysis.hypotheses.h2_length_adaptive_gae.exact import (
    BATCH,
    FORMS,
    LEVELS,
    SAMPLES,
    SIZE,
    WORLDS,
    Curves,
    curves,
    horizons_at,
    mixed,
    part_of,
    regret_of,
    regrets,
)
from analysis.hypotheses.h2_length_adaptive_gae.exact_rules import RULES, table_of
from analysis.plots.drawing import COLOURS, GREY, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.tables.schema import Tables
from analysis.verdict.questions import Floor, Question

STATE: dict[str, object] = {"growth": "decisions", "error__kind": "state"}
SHOWN: dict[str, str] = {
    "": "more decisions",
    "filler over which the error persists": "filler",
    "everything slower in proportion, self-similar error": "slower, self-similar",
    "exact critic (h* = 1 at every length if 1)": "exact critic",
}
"""World of the judge -> its name in the legend; the first is the estimand's own."""

MARKS = ("o", "s", "^", "D", "v")
PALETTE = list(COLOURS.values())


def figures(tables: Tables) -> dict[str, Drawing]:
    """h2a_exact: best horizons and what forms cost. h2b_exact: what alpha costs, and R11. Nothing without rows."""
    found = curves(tables, STATE)
    if found is None or len(found.shown) < 2:
        return {}
    return {"h2a_exact": of_form(tables, found), "h2b_exact": of_alpha(tables, found)}


def of_form(tables: Tables, found: Curves) -> Drawing:
    """Left: h* along length. Right: share of samples that each form wastes."""
    best, cost = best_table(tables, found), cost_table(tables, found)
    with canvas(7.2, 3.1) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.05])
        for (name, part), colour, mark in zip(best.groupby("what", sort=False), PALETTE, MARKS, strict=False):
            errors = [part["h"] - part["low"], part["high"] - part["h"]]
            left.errorbar(
                part["length"], part["h"], yerr=np.maximum(errors, 0), fmt=mark, linestyle="-", color=colour, markersize=3.5,
                linewidth=1, capsize=2, label=str(name),
            )  # fmt: skip
        tokens = np.array([64.0, 16384.0])
        for exponent, label in ((1.0, "slope 1"), (1 / 3, "slope 1/3")):
            left.plot(tokens, 4 * (tokens / 64) ** exponent, ":", color=GREY, linewidth=1)
            left.text(tokens[1], 4 * 256**exponent, label, fontsize=7, ha="right", va="bottom", color="0.35")
        left.set(
            xscale="log",
            yscale="log",
            ylim=(0.6, 2e4),
            xlabel="tokens",
            ylabel=f"best horizon h*, tokens (B = {BATCH})",
        )
        left.legend(frameon=False, fontsize=7, loc="upper left", ncols=2)
        _cost(right, cost)
    data = pd.concat([best.assign(panel="best horizon"), cost.assign(panel="cost")], ignore_index=True)
    alt = (
        "Left: best credit horizon against response length, geometric mean over families with 95 % interval, for four kinds"
        " of length and error, and lines of slope 1/3 and 1. Right: share of the samples that each form of the rule wastes,"
        " its level tuned on other families."
    )
    return Drawing(figure, data, alt)


def best_table(tables: Tables, found: Curves) -> pd.DataFrame:
    """Geometric mean of h* with its interval, by kind of length and error."""
    rows = []
    cases = [("", found)]
    for name in list(SHOWN)[1:]:
        wanted = WORLDS[name]
        size = SIZE if wanted["growth"] == "filler" else None
        other = curves(tables, wanted, size, several=wanted["growth"] == "filler")
        cases += [(name, other)] if other is not None else []
    for name, part in cases:
        best = horizons_at(part, BATCH)
        for place, length in enumerate(part.lengths):
            rows.append((SHOWN[name], length, *np.exp(student(np.log(best[:, place]))), len(best)))
    return pd.DataFrame(rows, columns=["what", "length", "h", "low", "high", "families"])


def cost_table(tables: Tables, found: Curves) -> pd.DataFrame:
    """What each form wastes, of the judge's own rows."""
    placeholder = Question("h2a", "", "", "", "", 1.0, "exact", (), Floor("", 0.0))
    rows = [row for row in regrets(tables, found, placeholder, "") if row.estimand.startswith("share")]
    form = [next(name for name in FORMS if name in row.estimand) for row in rows]
    many = ["errors of" in row.estimand for row in rows]
    return pd.DataFrame(
        {"form": form, "several_errors": many, "wasted": [r.effect for r in rows], "low": [r.low for r in rows],
         "high": [r.high for r in rows], "families": [r.seeds for r in rows]}
    )  # fmt: skip


def _cost(axes: Axes, cost: pd.DataFrame) -> None:
    names = list(FORMS)
    for several, shift, mark, label in (
        (False, -0.12, "o", "error of 0.1"),
        (True, 0.12, "s", "errors of 0.03 to 0.3"),
    ):
        part = cost[cost["several_errors"] == several]
        y = np.array([names.index(form) for form in part["form"]]) + shift
        spread = np.maximum([part["wasted"] - part["low"], part["high"] - part["wasted"]], 0)
        colour = PALETTE[int(several)]
        axes.errorbar(
            100 * part["wasted"], y, xerr=100 * spread, fmt=mark, color=colour, markersize=4, capsize=2, label=label
        )
    axes.axvline(100 * SAMPLES, color="0.6", linewidth=0.8, linestyle="--")
    short = ["h = α l", "constant h", "h = c l^(1/3)", "h from the\nerror seen"]
    axes.set_yticks(range(len(names)), short)
    axes.set(xlabel="% of the samples wasted", ylim=(len(names) - 0.5, -0.5))
    axes.legend(frameon=False, fontsize=7)


def of_alpha(tables: Tables, found: Curves) -> Drawing:
    """Left: samples wasted by alpha, short, long and mixed. Right: R11's bias by mean length."""
    alpha, bias = alpha_table(found), bias_table(tables)
    with canvas(7.2, 3.0) as figure:
        left, right = figure.subplots(1, 2)
        for (name, part), colour, dashes in zip(
            alpha.groupby("lengths", sort=False), PALETTE, ("-", "--", "-."), strict=False
        ):
            left.plot(part["alpha"], 100 * part["wasted"], dashes, color=colour, label=str(name), linewidth=1.3)
            left.fill_between(
                part["alpha"], 100 * part["low"], 100 * part["high"], color=colour, alpha=0.18, linewidth=0
            )
        left.set(xscale="log", xlim=(3e-4, 30), ylim=(0, 130), xlabel="α", ylabel="% of the samples wasted")
        left.set_yticks(range(0, 101, 20))
        left.legend(frameon=False, fontsize=7, loc="upper left", ncols=2)
        for (name, part), colour, mark in zip(bias.groupby("rule", sort=False), PALETTE, MARKS, strict=False):
            spread = np.maximum([part["bias"] - part["low"], part["high"] - part["bias"]], 0)
            right.errorbar(
                part["length"], part["bias"], yerr=spread, fmt=mark, linestyle="-", color=colour, markersize=4, capsize=2,
                linewidth=1, label=str(name),
            )  # fmt: skip
        right.axhline(0.05, color="0.6", linewidth=0.8, linestyle="--")
        right.set(xscale="log", xlabel="tokens on average", ylabel="|E g − ∇J| / |∇J|, exact critic", ylim=(-0.01, 0.3))
        lengths = sorted(set(bias["length"]))
        right.set_xticks(lengths, [f"{x:g}" for x in lengths])
        right.set_xticks([], minor=True)
        if len(bias):
            right.legend(frameon=False, fontsize=7)
    data = pd.concat([alpha.assign(panel="alpha"), bias.assign(panel="bias")], ignore_index=True)
    alt = (
        "Left: share of samples wasted against alpha at the shortest, at the longest and at mixed lengths, band: 95 % interval"
        " over families. Right: relative bias of the gradient under exact values where lengths vary, lambda from one's own"
        " length or from the others' mean length."
    )
    return Drawing(figure, data, alt)


def alpha_table(found: Curves) -> pd.DataFrame:
    """Samples wasted at each alpha."""
    form = FORMS["VAPO's h = alpha l"]
    cases = {
        f"{found.lengths[0]:,.0f} tokens": regret_of(form, part_of(found, 0)),
        f"{found.lengths[-1]:,.0f} tokens": regret_of(form, part_of(found, -1)),
        "both and one between": mixed(form, found),
    }
    rows = [
        (name, alpha, *student(column), len(column))
        for name, regret in cases.items()
        for alpha, column in zip(LEVELS, regret.T, strict=True)
        if 1e-4 <= alpha <= 100
    ]
    return pd.DataFrame(rows, columns=["lengths", "alpha", "wasted", "low", "high", "families"])


def bias_table(tables: Tables) -> pd.DataFrame:
    """R11's bias by rule, alpha and mean length."""
    table, rows = table_of(tables, "none"), []
    for rule, code in list(RULES.items())[:2]:
        for alpha in (0.05, 0.4):
            part = at(table, rule=code, value=alpha) if len(table) else table
            for length, own in part.groupby("length") if len(part) else ():
                rows.append((f"{rule}, α = {alpha:g}", length, *student(own["bias"]), len(own)))
    return pd.DataFrame(rows, columns=["rule", "length", "bias", "low", "high", "families"])
