"""h3b at the exact level: the gradient quality of both reductions by batch size, and R6's prediction of their noise."""

import numpy as np
import pandas as pd

from analysis.hypotheses.exact_tables import arrays, at, measured
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.questions import Question

CRITICS = {"none": "exact critic", "shrinkage": "constant baseline", "state": "state error of 0.1"}
"""Kind of error -> the critic. The constant baseline is J: |A| is 1 - J or J, far apart unless J is near a half."""

BATCHES = (64, 512, 4096)
"""Responses per gradient: one optimiser step of the walk and of text, the batch that was measured, and a large one."""

NOISE = "log of noise per signal, tr S over the squared part of the expected gradient along grad J, token over sequence mean"
SPREAD = "log of tr S / |E g|^2, each with its own expected gradient, token over sequence mean"
BEYOND = "log[Var_token / Var_sequence] beyond R6's formula, variances as they are, scale included"


def h3b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """log[Q_token / Q_sequence] by batch at lambda = 1, noise over signal, and variances beside R6's formula; longest
    problems, one set of logits for all positions first."""
    table = rows_of(tables)
    if not len(table):
        return []
    rows: list[Verdict] = []
    table = at(table[table["length"] == table["length"].max()], lam=1.0)
    for (own, spare, kind), part in table.groupby([~table["shared"], "spare", "kind"]):
        where = (
            f"{CRITICS[str(kind)]}, {part['length'].iloc[0]:g} tokens on average, limit {spare:g} times that,"
            f" {'logits by position' if own else 'one set of logits for all positions'}"
        )
        thetas = {
            **{f"log[Q_token / Q_sequence] at {batch} responses": quality(part, batch) for batch in BATCHES},
            NOISE: part["log_noise"],
            SPREAD: part["log_spread"],
            BEYOND: part["log_variance"] - part["log_formula"],
        }
        for what, theta in thetas.items():
            rows += secondary_row(question, "exact", theta.dropna(), preset, Estimand(f"{what}, {where}", "nats"))
    rho = table[table["shared"]].groupby("seed")["rho"].mean()
    what = "correlation of token gradients within a response, one set of logits for all positions"
    return rows + secondary_row(question, "exact", rho, preset, Estimand(what, "correlation", 0.05))


def quality(table: pd.DataFrame, batch: float) -> pd.Series:
    """log[Q_token / Q_sequence] at B responses, from what was stored at another number of them.

    1/Q = 1/cos^2 + n/B, n = tr S over the squared part along grad J. Stored are both cosines, the ratio of both n, and the
    log ratio of both Q at B0; so n_sequence / B0 solves one linear equation. Expected directions are those at B0. nan where
    the six decimals of a table do not resolve it.
    """
    ratio, known = np.exp(table["log_noise"]), np.exp(table["log_quality"])
    token, sequence = table["cos_token"] ** -2, table["cos_sequence"] ** -2
    noise = (known * token - sequence) / (1 - known * ratio) * table["batch"] / batch
    return np.log((sequence + noise) / (token + ratio * noise)).where(noise > 0)


def rows_of(tables: Tables) -> pd.DataFrame:
    """Every measurement, with the plan's columns shared, spare, kind and batch beside it."""
    runs = measured(tables, "reductions")
    table = arrays(tables, runs, "reductions")
    if not len(table):
        return table
    plan = runs.set_index("spec").loc[table["spec"]]
    return table.assign(
        shared=plan["shared"].astype(str).eq("True").to_numpy(),
        spare=plan["spare"].to_numpy(float),
        kind=plan["error.kind"].to_numpy(str),
        batch=plan["batch"].to_numpy(float),
    )
