"""R11 at the exact level: lambda from a response's own length, from the others' mean length, and constant lambdas."""

import itertools

import numpy as np
import pandas as pd

from analysis.hypotheses.exact_tables import arrays, at, measured
from analysis.hypotheses.h2_length_adaptive_gae.exact import BATCH, SAMPLES
from analysis.hypotheses.h2_length_adaptive_gae.regret import Moments, wasted
from analysis.statistics.selection import cross_fitted
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.questions import Question

RULES: dict[str, int] = {"its own length": 0, "the others' mean length": 1, "a constant lambda": 2}
"""Rule -> its code in the table."""

BIAS = 0.05
"""Relative bias of the gradient from which it matters, as in h1b."""


def r11(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Bias under exact values, and what each rule wastes under an error of 0.1, by mean length."""
    rows = []
    exact = table_of(tables, "none")
    lengths = [float(x) for x in np.unique(exact["length"])] if len(exact) else []
    for length, alpha in itertools.product(lengths, (0.05, 0.4)):
        part = at(exact, length=length, value=alpha)
        for name, code in list(RULES.items())[:2]:
            what = f"relative bias with alpha l by {name}, exact critic, alpha {alpha:g}, {length:g} tokens on average"
            rows += secondary_row(
                question, "exact", at(part, rule=code)["bias"], preset, Estimand(what, "relative bias", BIAS)
            )
    state = table_of(tables, "state")
    for mean, part in state.groupby("length") if len(state) else ():
        rows += _wasted(question, part, f"error of 0.1, {float(str(mean)):g} tokens on average", preset)
    return rows


def table_of(tables: Tables, kind: str) -> pd.DataFrame:
    """Rows (seed, length, rule, value, along, power, log_noise, bias) under one kind of error."""
    return arrays(tables, measured(tables, "rules", error__kind=kind), "rules")


def _wasted(question: Question, part: pd.DataFrame, what: str, preset: str) -> list[Verdict]:
    """Regret of each rule against the best constant of each problem, level tuned on other families."""
    constant = _moments(at(part, rule=2))
    if len(constant.along) < 2:
        return []
    top = constant.quality(BATCH).argmax(1)[:, None]
    best = Moments(*(np.take_along_axis(x, top, 1) for x in constant))
    tuned = {}
    for name, code in RULES.items():
        regret = wasted(_moments(at(part, rule=code)).quality(BATCH), best, BATCH)
        tuned[name] = -cross_fitted(-regret, np.random.default_rng(0)).scores
    own, others, _ = tuned
    description = f"share of samples that alpha l wastes by {own} beyond {others}, {what}"
    rows = secondary_row(
        question, "exact", tuned[own] - tuned[others], preset, Estimand(description, "share of samples", SAMPLES)
    )
    for name, regret in tuned.items():
        description = f"share of samples wasted by {name}, level tuned on other families, {what}"
        rows += secondary_row(question, "exact", regret, preset, Estimand(description, "share of samples", SAMPLES))
    return rows


def _moments(part: pd.DataFrame) -> Moments:
    """Each [S, values]."""
    wide = part.pivot(index="seed", columns="value", values=["along", "power", "log_noise"]).dropna()
    along, power, noise = (wide[name].to_numpy(float) for name in ("along", "power", "log_noise"))
    return Moments(along, power, np.exp(noise))
