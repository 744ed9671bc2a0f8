"""h6a at the exact level: the change of J by VAPO's update without sampling noise."""

import numpy as np
import pandas as pd

from analysis.hypotheses.exact_tables import arrays, measured
from analysis.hypotheses.h6_interactions.tables import share_interval
from analysis.plots.drawing import COLOURS, Drawing, canvas
from analysis.statistics.intervals import Interval, student
from analysis.tables.rows import at_step, having
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.questions import Question

FULL = {"mu": 0.1, "clip_high": 0.28, "reduction": "token_mean"}
"""Columns of full VAPO; lambda by its rule, hence no constant one."""

PARTS: dict[str, dict[str, object]] = {
    "a constant lambda of 1": {"lam": 1.0},
    "no positive-example loss": {"mu": 0.0},
    "a symmetric clip": {"clip_high": 0.2},
    "sequence mean": {"reduction": "sequence_mean"},
}

SLOPE = 0.2
"""Distance of the slope from 1 that matters: a slope below 0.8."""


def h6a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Share of updates that lower J, by critic, optimiser and kind of length; slope; shift against R8; without parts."""
    rows: list[Verdict] = []
    runs = measured(tables, "updates")
    full = having(runs, FULL)
    full = full[full["lam"].isna()] if len(full) else full
    keys = ["error.size", "adam", "variable"]
    for (size, adam, varies), part in full.groupby(keys) if len(full) else ():
        where = (
            f"{f'state error of {size:g}' if size else 'exact critic'}, {'Adam' if str(adam) == 'True' else 'plain ascent'},"
            f" {'4 tokens on average' if str(varies) == 'True' else '8 tokens each'}"
        )
        rows += _rows(tables, question, part, where, preset)
    for name, columns in PARTS.items():
        part = having(runs, {**{k: v for k, v in FULL.items() if k not in columns}, **columns})
        if "lam" not in columns and len(part):
            part = part[part["lam"].isna()]
        what = f"share of updates that lower J with {name}, state error of 0.1, Adam, 4 tokens on average"
        rows += share_row(question, fell(tables, part), preset, what, question.threshold)
    return rows


def share_row(question: Question, shares: np.ndarray, preset: str, what: str, threshold: float) -> list[Verdict]:
    """A secondary row of shares [S], or none without families."""
    if not shares.size:
        return []
    estimand = Estimand(what, "share of updates", threshold)
    return [
        by_interval(question, "exact", lambda level: of_shares(shares, level), len(shares), preset, estimand=estimand)
    ]


def of_shares(shares: np.ndarray, level: float = 0.95) -> Interval:
    """Student's interval of the mean of shares [S]; where all are 0, or all 1, the exact binomial one with families as trials."""
    if set(shares) not in ({0.0}, {1.0}):
        return student(shares, level)
    return share_interval(np.arange(len(shares)), shares > 0, level)


def fell(tables: Tables, runs: pd.DataFrame, late: bool = False) -> np.ndarray:
    """[S] share of updates that lower J by more than 1e-6; of those from where J has passed 0.95, families that get there."""
    found = at_step(tables, runs["spec"], "exact/fell_late" if late else "exact/fell")
    return found[~np.isnan(found)]


def slope(table: pd.DataFrame, on: str) -> pd.Series:
    """[S] of delta J on a quantity, through the origin, over a family's updates."""
    moved = table.assign(xy=table[on] * table["delta_j"], xx=table[on] ** 2).groupby("seed")[["xy", "xx"]].sum()
    return moved["xy"] / moved["xx"]


def _rows(tables: Tables, question: Question, runs: pd.DataFrame, where: str, preset: str) -> list[Verdict]:
    table = arrays(tables, runs, "updates")
    if not len(table):
        return []
    matters = question.threshold
    shift: pd.Series = (table["shift"].abs() / np.maximum(table["bound"], 1e-12)).groupby(table["seed"]).max()
    vacuous = (table["bound"] > 1).groupby(table["seed"]).mean()
    shares = [
        (fell(tables, runs), "share of updates that lower J", matters),
        (fell(tables, runs, late=True), "share of updates that lower J once it has passed 0.95", matters),
    ]
    secondary = []
    if "state error of 0.1" in where and "8 tokens" in where:
        shares.append((vacuous.to_numpy(), "share of updates whose bound exceeds 1", 0.5))
        secondary = [
            (1 - slope(table, "surrogate"), "1 - slope of delta J on the surrogate of true advantages", "slope", SLOPE),
            (1 - slope(table, "predicted"), "1 - slope of delta J on what the own objective promises", "slope", SLOPE),
            (shift, "largest |shift| of a run over R8's bound", "share of the bound", 0.5),
        ]
    rows = [row for x, what, limit in shares for row in share_row(question, x, preset, f"{what}, {where}", limit)]
    return rows + [
        row
        for x, what, unit, limit in secondary
        for row in secondary_row(question, "exact", x, preset, Estimand(f"{what}, {where}", unit, limit))
    ]


def figures(tables: Tables) -> dict[str, Drawing]:
    """Falls of J by critic and optimiser, and the shift against its bound; nothing without rows."""
    runs = measured(tables, "updates")
    runs = having(runs, FULL)
    if not len(runs):
        return {}
    return {"h6a_exact": chart(tables, runs[runs["lam"].isna()])}


def share_table(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """Share of updates that lower J, before and after J has passed 0.95, with its interval."""
    rows = []
    for (size, adam, varies), part in runs.groupby(["error.size", "adam", "variable"]):
        for late in (False, True):
            found = fell(tables, part, late)
            flags = (str(adam) == "True", str(varies) == "True", late)
            rows.append((size, *flags, *of_shares(found), len(found)))
    return pd.DataFrame(rows, columns=["error", "adam", "lengths_vary", "late", "share", "low", "high", "families"])


def chart(tables: Tables, runs: pd.DataFrame) -> Drawing:
    """Left: share of updates that lower J. Right: |shift| and R8's bound by how far an update moved."""
    share = share_table(tables, runs)
    moved = arrays(tables, having(runs, {"error.size": 0.1}), "updates")
    moved = moved.assign(part=np.floor(3 * np.log10(moved["tv"].clip(lower=1e-5))) / 3, size=moved["shift"].abs())
    bound = moved.groupby("part")[["tv", "size", "bound"]].median().reset_index(drop=True)
    with canvas(7.2, 3.0) as figure:
        left, right = figure.subplots(1, 2)
        cases = ((False, False, "o"), (False, True, "s"), (True, False, "^"), (True, True, "D"))
        for (adam, varies, mark), colour in zip(cases, COLOURS.values(), strict=False):
            label = f"{'Adam' if adam else 'plain'}, {'varying' if varies else 'one'} length"
            for late in (False, True):
                part = share[(share["adam"] == adam) & (share["lengths_vary"] == varies) & (share["late"] == late)]
                shift = 0.015 * (cases.index((adam, varies, mark)) - 1.5)
                spread = np.maximum([part["share"] - part["low"], part["high"] - part["share"]], 0)
                left.errorbar(
                    part["error"] + shift, part["share"], yerr=np.nan_to_num(spread), fmt=mark, color=colour, markersize=4,
                    capsize=2, markerfacecolor="none" if late else colour, label=None if late else label,
                )  # fmt: skip
        left.axhline(0.05, color="0.6", linewidth=0.8, linestyle="--")
        left.set(xlabel="error of the critic, standard deviation, reward", ylabel="share of updates that lower J")
        left.set_xticks(sorted(set(share["error"])))
        left.set_ylim(-0.005, max(0.12, 1.5 * float(share["high"].max())))
        left.legend(frameon=False, fontsize=7, title="open: once J has passed 0.95", title_fontsize=7)
        right.plot(bound["tv"], bound["bound"], "s-", color=COLOURS["ppo"], markersize=3.5, label="R8's bound")
        seen = bound[bound["size"] > 1e-6]  # less is lost in the table's six decimals
        right.plot(seen["tv"], seen["size"], "o-", color=COLOURS["vapo"], markersize=3.5, label="|ΔJ − surrogate|")
        right.axhline(1, color="0.6", linewidth=0.8, linestyle="--")
        right.set(xscale="log", yscale="log", xlabel="total variation, mean over tokens", ylabel="reward")
        right.legend(frameon=False, fontsize=7)
    data = pd.concat([share.assign(panel="falls"), bound.assign(panel="shift")], ignore_index=True)
    alt = (
        "Left: share of infinite-batch updates that lower J by the critic's error, optimiser and kind of length, with 95 %"
        " intervals; open marks: updates after J has passed 0.95. Right: medians of the shift and of its bound against how"
        " far an update moved the policy."
    )
    return Drawing(figure, data, alt)
