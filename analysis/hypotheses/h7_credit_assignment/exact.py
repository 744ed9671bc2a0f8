"""h7a at the exact level: the share of blame that falls on the erring step, by length, rule and critic."""

import numpy as np
import pandas as pd

from analysis.hypotheses.exact_tables import arrays, at, measured, per_seed
from analysis.plots.drawing import COLOURS, Drawing, canvas
from analysis.statistics.intervals import student
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import CONTRADICTED, NOTE, Verdict, verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.lengths import computed_at
from analysis.verdict.questions import Question

ALPHA = 0.05
"""alpha of the estimand, the paper's."""

WIDTH = 8
"""Tokens of a step."""

RULES: dict[str, dict[str, float]] = {
    "α = 0.05": {"alpha": 0.05},
    "α = 0.5": {"alpha": 0.5},
    "λ = 0.99": {"alpha": 0.0, "lam": 0.99},
    "λ = 0.95": {"alpha": 0.0, "lam": 0.95},
    "λ = 0": {"alpha": 0.0, "lam": 0.0},
}
"""Rule -> its rows."""

TRUE = {"error__kind": "none", "error__noise": 0.0, "delay": 0, "delay_share": 0.0, "blind": False}
CRITICS: dict[str, dict[str, object]] = {
    "true values": TRUE,
    "true values and noise of 0.1": {**TRUE, "error__noise": 0.1},
    "a state error of 0.1": {**TRUE, "error__kind": "state"},
    "an error noticed 64 tokens late": {**TRUE, "delay": 64},
    "an error noticed 5 % of the length late": {**TRUE, "delay_share": 0.05},
    "a blind critic": {**TRUE, "blind": True},
}
"""Critic -> columns of its runs."""

SHARE = 0.5
"""Blame is mostly where it belongs from here on; for a rank, chance."""

MEASURES: dict[str, str] = {
    "share": "share of blame in the erring step",
    "precision": "how often the lowest advantage stands in the erring step",
    "auroc_early": "AUROC of the erring token, errors in the first quarter",
}


def h7a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Minus the slope of log share on log length as declared; then other rules and critics, levels, ranks."""
    true = blame(tables, "true values")
    own = at(true, alpha=ALPHA)
    theta = slopes(own, "log_share")
    if not len(theta):
        return []
    lost = float(per_seed(own, "lost").mean())
    row = verdict(question, "exact", -theta, preset, lost >= question.floor.least)
    lengths = np.unique(own["length"])
    slope = -formula(lengths)
    alone = f"R12's formula alone, without a sample, gives {slope:.2f}: this is the rule's arithmetic"
    rows = with_activity([computed_at(row._replace(strata={NOTE: alone, **row.strata}), lengths)], lost)
    for rule, wanted in RULES.items():
        part, where = at(true, **wanted), f"{rule}, true values"
        what = f"minus the slope of log share on log length, {where}"
        rows += secondary_row(question, "exact", -slopes(part, "log_share"), preset, what)
        far = _far(question, part, where, preset, {"share": MEASURES["share"]})
        rows += [_against_one(row) for row in far] if rule == "λ = 0" else far
    for critic in list(CRITICS)[1:]:
        table = blame(tables, critic)
        for rule in ("α = 0.05", "λ = 0.95"):
            rows += _far(question, at(table, **RULES[rule]), f"{rule}, {critic}", preset, MEASURES)
    return rows


def formula(lengths: np.ndarray, alpha: float = ALPHA) -> float:
    """Slope on log length of log E (1 - lambda^w) / (1 - lambda^(j + 1)), lambda = 1 - 1/(alpha l), any step erring (R12)."""
    shares = []
    for length in lengths:
        lam, ends = 1 - 1 / (alpha * length), np.arange(WIDTH, length, WIDTH)
        shares.append(np.mean((1 - lam**WIDTH) / (1 - lam**ends)))
    return float(np.polyfit(np.log(lengths), np.log(shares), 1)[0])


def _against_one(row: Verdict) -> Verdict:
    """Says so if the share at lambda = 0, predicted to be 1, is not."""
    note = f"{CONTRADICTED}: 1 was predicted of it; other tokens lose value, too"
    return row._replace(strata={NOTE: note, **row.strata}) if row.high < 1 else row


def blame(tables: Tables, critic: str) -> pd.DataFrame:
    """Rows (seed, length, alpha, lambda, log_share, precision, auroc ...) under a critic."""
    return arrays(tables, measured(tables, "blame", **CRITICS[critic]), "blame")


def slopes(table: pd.DataFrame, value: str) -> pd.Series:
    """[S] slope of a logarithm on log length, families in which it is known at every length."""
    if not len(table):
        return pd.Series(dtype=float)
    wide = table.pivot(index="seed", columns="length", values=value).dropna()
    x = np.log(wide.columns.to_numpy(float))
    if len(x) < 2:
        return pd.Series(dtype=float)
    return wide @ (x - x.mean()) / ((x - x.mean()) ** 2).sum()


def _far(question: Question, table: pd.DataFrame, where: str, preset: str, measures: dict[str, str]) -> list[Verdict]:
    """Measures at the longest responses."""
    if not len(table):
        return []
    far = table[table["length"] == table["length"].max()]
    far = far.assign(share=np.exp(far["log_share"]).fillna(0.0))  # no blame in the erring step at all
    tokens = f"{far['length'].iloc[0]:,.0f} tokens"
    return [
        row
        for name, what in measures.items()
        for row in secondary_row(
            question, "exact", far[name].dropna(), preset, Estimand(f"{what}, {where}, {tokens}", "share", SHARE)
        )
    ]


def figures(tables: Tables) -> dict[str, Drawing]:
    """Share of the blame and precision along length; nothing without rows."""
    shown = along_length(tables)
    return {"h7a_exact": drawings(shown)} if len(shown) else {}


def along_length(tables: Tables) -> pd.DataFrame:
    """Mean share (geometric) and precision with 95 % intervals, by critic, rule and length."""
    rows = []
    for critic in CRITICS:
        table = blame(tables, critic)
        for rule, wanted in RULES.items():
            part = at(table, **wanted)
            for length, own in part.groupby("length") if len(part) else ():
                known = own["log_share"].dropna()
                share = np.exp(student(known)) if len(known) else (np.nan,) * 3
                rows.append((critic, rule, length, *share, *student(own["precision"]), own["auroc"].mean(), len(own)))
    columns = ["critic", "rule", "length", "share", "share_low", "share_high"]
    return pd.DataFrame(rows, columns=[*columns, "precision", "precision_low", "precision_high", "auroc", "families"])


MARKS = ("o", "s", "^", "D", "v")


def drawings(shown: pd.DataFrame) -> Drawing:
    """Share by length for three critics, precision for one of them."""
    panels = (
        ("true values", "share", "true values"),
        ("true values and noise of 0.1", "share", "noise of 0.1"),
        ("true values and noise of 0.1", "precision", "noise of 0.1"),
    )
    with canvas(7.2, 3.0) as figure:
        axes = figure.subplots(1, 3)
        for place, (critic, value, title) in zip(axes, panels, strict=True):
            part = shown[shown["critic"] == critic]
            for (rule, own), colour, mark in zip(
                part.groupby("rule", sort=False), COLOURS.values(), MARKS, strict=True
            ):
                y = own[value]
                errors = [(y - own[f"{value}_low"]).clip(lower=0), (own[f"{value}_high"] - y).clip(lower=0)]
                place.errorbar(
                    own["length"], y, yerr=errors, fmt=mark, linestyle="-", color=colour, markersize=3.5, capsize=2,
                    linewidth=1, label=rule,
                )  # fmt: skip
            place.set(xscale="log", xlabel="tokens", title=title)
            if value == "share":
                place.set(yscale="log", ylabel="share of blame in the erring step")
                place.axhline(SHARE, color="0.6", linewidth=0.8, linestyle="--")
            else:
                place.set(ylim=(-0.03, 1.03), ylabel="lowest advantage in that step")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    alt = (
        "Share of blame inside the erring step of 8 tokens against response length from 512 to 131,072 tokens, by rule for"
        " lambda: with true values it falls in proportion to length under alpha l and stays under a constant lambda; with"
        " noisy values it falls under every rule. Right: how often the lowest advantage stands in that step, noisy values."
    )
    return Drawing(figure, shown, alt)
