"""Presentation of a factorial: sentences, table rows, the terminal's table, and the forest plot of its effects."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from rich import box
from rich.table import Table

from analysis.ablations.aliasing import LETTERS, aliased_pairs, named, resolution, roman
from analysis.ablations.factorial import Factorial
from analysis.plots.drawing import ACCENT, GREY, INK, Drawing, canvas
from analysis.statistics.intervals import smallest_threshold
from analysis.tables.terminal import interval, number

CODING = (
    "Coding ±1. A main effect is the mean with the component on less the mean with it off, over all settings of the "
    "others. An interaction A × B is the AB/2 contrast: half the difference between A's effect with B on and with B off. "
    "95 % Student intervals over seeds, each seed one replicate, not corrected for the number of effects."
)


class EffectRow(NamedTuple):
    """One effect as text."""

    letters: str
    effect: str
    auc: str
    logit: str
    sd: str
    remark: str


def effect_rows(table: pd.DataFrame) -> list[EffectRow]:
    """The table of `factorial.effects` as text: AUC and log-odds with intervals, the sd over seeds, and what to mind."""
    return [
        EffectRow(row["letters"], row["effect"], interval(row, "auc", sign=True), interval(row, "logit", sign=True),
            number(row["auc_sd"]), remark(row))
        for _, row in table.iterrows()
    ]  # fmt: skip


def remark(row: pd.Series) -> str:
    """What an effect is aliased with, and whether its sign depends on the scale."""
    others = row["aliased"]
    alias = f"with {' + '.join(map(named, others.split(' + ')))}" if others else ""
    both = [row["auc_low"] * row["auc_high"], row["logit_low"] * row["logit_high"]]
    scale = "" if row["same_sign"] or not any(x > 0 for x in both) else "scale-dependent"
    return "; ".join(part for part in (alias, scale) if part)


def note(found: Factorial, table: pd.DataFrame) -> str:
    """Which factorial it is, how many replicates it has, and the smallest effect they can show."""
    runs, pairs = len(found.points), aliased_pairs(found.words)
    kind = (
        f"A {runs}-run fraction of resolution {roman(resolution(found.words) or 1)} (I = {' = '.join(found.words)})"
        if found.words
        else "The full 2⁷ factorial"
    )
    alias = f"; {len(pairs)} two-way interactions are aliased with others and stand in one row" if pairs else ""
    lost = f", {len(found.left_out)} more incomplete and left out" if found.left_out else ""
    size = smallest_threshold(len(found.seeds)) * float(np.median(table["auc_sd"]))
    seen = (
        "Too few replicates to state the smallest effect it can see."
        if math.isnan(size)
        else f"The smallest effect it can see is about {size:.4f} in AUC (median sd of an effect over seeds times the "
        "factor for this number of seeds)."
    )
    return f"{kind} of {found.recipe} with {len(found.seeds)} complete replicates{lost}{alias}. {seen}"


def summary(table: pd.DataFrame) -> str:
    """Which intervals exclude 0, main effects and interactions separately."""
    sentences = []
    for order, name in ((1, "main effects"), (2, "interactions")):
        part = table[(table["order"] == order) & table["auc_low"].notna()]
        sure = part[(part["auc_low"] > 0) | (part["auc_high"] < 0)]
        listed = ", ".join(f"{row['effect']} ({row['auc']:+.3f})" for _, row in sure.iterrows())
        sentences.append(
            f"{len(sure)} of {len(part)} {name} have an interval that excludes 0{': ' + listed if listed else ''}."
        )
    return " ".join(sentences)


def terminal_table(found: Factorial, table: pd.DataFrame) -> Table:
    """The effects for a terminal of 100 columns; print it with a rich Console."""
    out = Table(
        box=box.SIMPLE_HEAD, title=note(found, table), caption=CODING + " " + _legend(), title_justify="left",
        caption_justify="left", padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip
    out.add_column("effect", no_wrap=True)
    for head in ("Δ AUC", "Δ logit AUC", "sd"):
        out.add_column(head, justify="right", no_wrap=True)
    out.add_column("mind")
    for row, (_, source) in zip(effect_rows(table), table.iterrows(), strict=True):
        name = row.effect if source["order"] == 1 else "×".join(row.letters)
        alias = f"= {source['aliased']}" if source["aliased"] else ""
        scale = "scale-dependent" if "scale" in row.remark else ""
        head = f"{row.letters} {name}" if source["order"] == 1 else name
        out.add_row(head, row.auc, row.logit, row.sd, " ".join(x for x in (alias, scale) if x))
    return out


def _legend() -> str:
    return "Letters: " + ", ".join(f"{letter} {named(letter)}" for letter in LETTERS) + "."


def effects_figure(table: pd.DataFrame) -> Drawing:
    """Every effect with its interval, on AUC and on log-odds; intervals that include 0 in grey.

    `table` is of `factorial.effects`.
    """
    with canvas(8.4, 0.21 * len(table) + 1.4) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        y = np.arange(len(table))
        for panel, name, label in zip(axes, ("auc", "logit"), ("AUC", "log-odds of AUC"), strict=True):
            _forest(panel, table, name, y)
            panel.set_xlabel(f"effect on {label}")
        axes[0].set_yticks(y, [_tick(row) for _, row in table.iterrows()])
        axes[0].set_ylim(len(table) - 0.5, -0.5)
        figure.supxlabel("95 % Student intervals over seeds; grey: the interval includes 0", fontsize=8)
    columns = [name for name in table.columns if name not in ("order",)]
    alt = f"Forest of {len(table)} main effects and interactions with intervals, on AUC and on its log-odds."
    return Drawing(figure, table[columns].reset_index(drop=True), alt)


def _forest(axes: Axes, table: pd.DataFrame, name: str, y: np.ndarray) -> None:
    low, high, middle = (table[f"{name}{part}"].to_numpy(float) for part in ("_low", "_high", ""))
    sure = (low > 0) | (high < 0)
    for chosen, colour in ((sure, ACCENT), (~sure, GREY)):
        bars = np.stack([middle - low, high - middle])[:, chosen]
        axes.errorbar(
            middle[chosen], y[chosen], xerr=bars, fmt="o", color=colour, ecolor=colour, capsize=2, markersize=3
        )
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.axhline((table["order"] == 1).sum() - 0.5, color="0.8", linewidth=0.8)
    axes.grid(axis="y", color="0.94")
    axes.set_axisbelow(True)


def _tick(row: pd.Series) -> str:
    more = " + …" if row["aliased"] else ""
    return row["effect"] + more
