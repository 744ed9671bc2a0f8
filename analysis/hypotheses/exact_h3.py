"""h3b at the exact level: which reduction's gradient is worth more responses, and what R6 says of it."""

import numpy as np
import pandas as pd

from analysis.decisions import Verdict
from analysis.drawing import COLOURS, Drawing, canvas
from analysis.exact_tables import arrays, at, measured, said
from analysis.questions import Question
from analysis.schema import Tables
from analysis.statistics.intervals import student

CRITICS = {"none": "exact critic", "shrinkage": "constant baseline", "state": "state error of 0.1"}
"""Kind of error -> the critic; a constant baseline keeps |A| nearly constant, as R6 assumes."""


def h3b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """log[Q_token / Q_sequence] at 512 responses and lambda = 1, and variances beside R6's formula, longest problems."""
    table = rows_of(tables)
    if not len(table):
        return []
    rows: list[Verdict] = []
    table = at(table[table["length"] == table["length"].max()], lam=1.0)
    for (shared, spare, kind), part in table.groupby(["shared", "spare", "kind"]):
        where = (
            f"{CRITICS[str(kind)]}, {part['length'].iloc[0]:g} tokens on average, limit {spare:g} times that,"
            f" {'one set of logits for all positions' if shared else 'logits by position'}"
        )
        told = {
            "log[Q_token / Q_sequence]": part["log_quality"],
            "log[Var_token / Var_sequence]": part["log_variance"],
            "log[Var_token / Var_sequence] beyond R6's formula": part["log_variance"] - part["log_formula"],
        }
        for what, theta in told.items():
            rows += said(question, theta, preset, f"{what}, {where}", "nats", question.threshold)
    rho = table[table["shared"]].groupby("seed")["rho"].mean()
    what = "correlation of token gradients within a response, one set of logits for all positions"
    return rows + said(question, rho, preset, what, "correlation", 0.05)


def rows_of(tables: Tables) -> pd.DataFrame:
    """Every measurement, with the plan's columns shared, spare and kind beside it."""
    runs = measured(tables, "reductions")
    table = arrays(tables, runs, "reductions")
    if not len(table):
        return table
    plan = runs.set_index("spec").loc[table["spec"]]
    return table.assign(
        shared=plan["shared"].astype(str).eq("True").to_numpy(),
        spare=plan["spare"].to_numpy(float),
        kind=plan["error.kind"].to_numpy(str),
    )


def figures(tables: Tables) -> dict[str, Drawing]:
    """Quality by critic and kind of logits, and the variances against R6's formula; nothing without rows."""
    table = rows_of(tables)
    if not len(table):
        return {}
    shown = at(table[table["length"] == table["length"].max()], lam=1.0)
    return {"h3b_exact": drawn(shown)}


def drawn(shown: pd.DataFrame) -> Drawing:
    """Left: log[Q_token / Q_sequence]. Right: log ratio of variances, formula against number, a mark per family."""
    keys = ["kind", "shared", "spare"]
    rows = [
        (*(part[name].iloc[0] for name in keys), part["cv"].mean(), *student(part["log_quality"]), len(part))
        for _, part in shown.groupby(keys)
    ]
    table = pd.DataFrame(rows, columns=[*keys, "cv", "log_quality", "low", "high", "families"])
    with canvas(7.2, 3.0) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
        for (shared, part), colour, mark in zip(table.groupby("shared"), list(COLOURS.values()), "os", strict=False):
            place = [
                list(CRITICS).index(k) + 0.2 * (s > 2) - 0.1 for k, s in zip(part["kind"], part["spare"], strict=True)
            ]
            spread = np.maximum([part["log_quality"] - part["low"], part["high"] - part["log_quality"]], 0)
            label = "one set of logits" if shared else "logits by position"
            left.errorbar(
                place, part["log_quality"], yerr=spread, fmt=mark, color=colour, markersize=4, capsize=2, label=label
            )
            own = shown[shown["shared"] == shared]
            right.plot(
                own["log_formula"], own["log_variance"], mark, color=colour, markersize=2.5, alpha=0.5, label=label
            )
        for limit in (-0.18, 0.18):
            left.axhline(limit, color="0.6", linewidth=0.8, linestyle="--")
        left.set_xticks(range(len(CRITICS)), [name.replace(" ", "\n", 1) for name in CRITICS.values()])
        left.set(ylabel="log[Q token / Q sequence], nats", xlim=(-0.5, len(CRITICS) - 0.5))
        left.set_ylim(top=max(0.3, 1.3 * float(table["high"].max())))
        left.legend(frameon=False, fontsize=7, ncols=2, loc="upper center")
        ends = [min(shown["log_formula"].min(), shown["log_variance"].min()), 0.0]
        right.plot(ends, ends, ":", color="0.5", linewidth=1)
        right.set(xlabel="log ratio of variances, R6's formula", ylabel="the same, exact or simulated")
    alt = (
        "Left: log quality of token over sequence mean at 512 responses, mean over families with 95 % interval, three critics;"
        " of each pair the left one has a length limit of 1.25 times the mean, the right one of 4 times. Right: log ratio of"
        " the two variances against R6's formula, one mark per family; on the dotted line they agree."
    )
    data = pd.concat([table.assign(panel="quality"), shown.assign(panel="variance")], ignore_index=True)
    return Drawing(figure, data.drop(columns=["spec"]), alt)
