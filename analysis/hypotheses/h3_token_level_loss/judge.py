"""Limitation 3, the token-level loss: curvature, usefulness of gradients, and KL per gain, token mean beside sequence mean."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.hypotheses.h3_token_level_loss import exact as exact_h3
from analysis.hypotheses.h3_token_level_loss import exact_figures as exact_h3_figures
from analysis.hypotheses.h3_token_level_loss import figures as reduction_figures
from analysis.hypotheses.h3_token_level_loss.tables import (
    CELLS,
    COVARIANCE,
    KL,
    RATIO,
    TASKS,
    Value,
    aligned,
    clear,
    log_over,
    log_useful,
    means,
    metric,
    points,
    prices,
    texts,
    together,
    useful,
    usefulness,
    walks,
)
from analysis.plots.drawing import Drawing
from analysis.statistics.intervals import Interval, student
from analysis.statistics.jackknife import jackknife
from analysis.tables.schema import Tables
from analysis.verdict.decisions import CORRECTED, NOTE, SIGN, Verdict, decide, of_strata, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.questions import LEVEL_OF, Question

ACTIVITY = "activity_token_level_loss"


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """All three questions."""
    judges = {"h3a": h3a, "h3b": h3b, "h3c": h3c}
    return [row for id, judge in judges.items() for row in judge(tables, questions[id], preset)]


def active(runs: list[pd.DataFrame], question: Question) -> bool:
    """Whether lengths vary enough, on average over runs."""
    spread = pd.concat([part[ACTIVITY] for part in runs])
    return bool(len(spread)) and float(spread.mean()) >= question.floor.least


# --- h3a: curvature ---

PARTS: dict[str, Value] = {
    "the same with the Gauss-Newton part of the Hessian alone": metric("curvature/log_ratio_gauss_newton"),
    "log ratio of top curvatures alone, not over their slopes": log_over(
        "curvature/top_token", "curvature/top_sequence"
    ),
    "covariance of length and curvature as a share of the curvature": metric(COVARIANCE),
}


def h3a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Log ratio of kappa over both cells, with the strata by covariance; its cells, its parts, text."""
    runs = {cell: walks(tables, cell) for cell in CELLS}
    by_cell = {cell: means(tables, part, metric(RATIO)) for cell, part in runs.items()}
    theta, rows = together(by_cell), []
    if len(theta):
        tested = active(list(runs.values()), question)
        row, strata = verdict(question, "walk", theta, preset, tested), strata_of(tables, list(runs.values()), question)
        split = of_strata({name: part["decision"] for name, part in strata.items()}, PREDICTED)
        decision = split if split and tested else row.decision
        rows.append(row._replace(strata={**strata, **remark(strata), **row.strata}, decision=decision))
    for cell, part in by_cell.items():
        rows += secondary_row(question, "walk", part, preset, f"the same where the base policy {cell}")
    for what, value in PARTS.items():
        rows += secondary_row(
            question, "walk", together({c: means(tables, x, value) for c, x in runs.items()}), preset, what
        )
    text = {task: means(tables, texts(tables, task), metric(RATIO)) for task in TASKS}
    return rows + secondary_row(question, "tiny_lm", together(text), preset, "the same on text, mean of both tasks")


PREDICTED: dict[str, int] = {"covariance above 0": 1, "covariance below 0": -1}
"""Stratum -> sign of the log ratio that is predicted there: that of the covariance."""
LEAST_SEEDS = 0.5
"""Share of the seeds that a stratum needs to decide anything: the few that get there may be unlike the others."""


def strata_of(tables: Tables, runs: Sequence[pd.DataFrame], question: Question) -> dict[str, dict[str, Any]]:
    """Estimates where the covariance is above 0 and below it, each seed's measurements averaged, at the corrected level."""
    part = pd.concat(runs, ignore_index=True)
    ratio, covariance = aligned(tables, part, RATIO, COVARIANCE)
    seeds, found = part["seed"].nunique(), {}
    for name, sign in PREDICTED.items():
        inside = sign * covariance > 0
        chosen = np.where(inside, ratio, np.nan)
        known = np.isfinite(chosen)
        sums = pd.DataFrame({"seed": part["seed"], "sum": np.where(known, chosen, 0).sum(1), "n": known.sum(1)})
        by_seed = sums.groupby("seed").sum().query("n > 0")
        interval = student(by_seed["sum"] / by_seed["n"], CORRECTED)
        found[name] = {
            "effect": interval.estimate, "low": interval.low, "high": interval.high, "seeds": len(by_seed),
            "measurements": int(known.sum()),
            "decision": decide(interval, question.threshold, tested=len(by_seed) >= LEAST_SEEDS * seeds),
        }  # fmt: skip
    return found


def remark(strata: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the strata's signs say of the prediction, under `NOTE`; nothing if neither decides."""
    agrees = {
        name: SIGN[part["decision"]] == PREDICTED[name] for name, part in strata.items() if part["decision"] in SIGN
    }
    against = [name for name, agreed in agrees.items() if not agreed]
    if against:
        return {NOTE: f"the reverse of the predicted sign at {' and at '.join(against)}"}
    return {NOTE: "the predicted sign in both strata"} if len(agrees) == len(PREDICTED) else {}


# --- h3b: usefulness ---


def h3b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Log ratio of useful power on text; each task; the walk, where grad J is exact; noise alone; R6's formula; exact level."""
    text = {task: texts(tables, task) for task in TASKS}
    rows = _useful(tables, question, "lm", text, preset, "", active(list(text.values()), question))
    for task, part in text.items():
        rows += _useful(tables, question, "lm", {task: part}, preset, f"the same on {task} alone")
    walk = {"walk": walks(tables, "stops early")}
    rows += _useful(tables, question, "walk", walk, preset, "the same on the walk, grad J exact")
    for world, runs in (("lm", text), ("walk", walk)):
        for what, (name, unit, threshold) in BESIDE.items():
            theta = together(
                {task: means(tables, part, metric(f"gradient_quality/{name}")) for task, part in runs.items()}
            )
            rows += secondary_row(question, LEVEL_OF[world], theta, preset, Estimand(what, unit, threshold))
    return rows + exact_h3.h3b(tables, question, preset)


BESIDE: dict[str, tuple[str, str, float]] = {
    "log of tr S / |E g|^2, token mean over sequence mean, each with its own expected gradient": (
        "log_noise_ratio", "nats", 0.18,
    ),
    "log of Var_token / Var_sequence that R6 gives at the measured rho and lengths": ("log_variance_predicted", "nats", 0.18),
    "rho, correlation of token gradients within a response": ("rho", "correlation", 0.05),
    "cosine of token mean's expected gradient with grad J": ("cosine_token", "cosine", 0.1),
    "cosine of sequence mean's expected gradient with grad J": ("cosine_sequence", "cosine", 0.1),
}  # fmt: skip
"""What a row says -> metric, unit, and the size that matters."""


def _useful(
    tables: Tables, question: Question, world: str, runs: Mapping[str, pd.DataFrame], preset: str, what: str = "",
    tested: bool = True,
) -> list[Verdict]:  # fmt: skip
    token, sequence = useful(tables, runs)
    if not len(token):
        return []
    estimand = Estimand(what) if what else None
    rows = np.arange(len(token))
    good = clear(token, sequence)

    def interval_at(wide: float) -> Interval:
        return jackknife(lambda kept: log_useful(token[:, good], sequence[:, good], kept), rows, wide)

    row = by_interval(question, LEVEL_OF[world], interval_at, len(token), preset, tested, estimand)
    if good.all():
        return [row]
    left = (
        f"{(~good).sum()} of {len(good)} places (task and RL step) are left out, where a mean over seeds is not above 0, or"
        " not without one of them; the same seeds choose the places and are judged at them"
    )
    return [row._replace(strata={NOTE: left, **row.strata})]


# --- h3c: KL per gain ---


def h3c(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Log ratio of KL per squared gain on the walk; with lambda = 1; at an equal true gain; directions that do not ascend."""
    runs, rows = walks(tables, "stops early"), []
    theta = means(tables, runs, metric(KL))
    if len(theta):
        rows.append(verdict(question, "walk", theta, preset, active([runs], question)))
    text = {task: texts(tables, task) for task in TASKS}
    for world, parts in (("walk", {"walk": runs}), ("lm", text)):
        if world == "lm":
            theta = together({task: means(tables, part, metric(KL)) for task, part in parts.items()})
            rows += secondary_row(question, LEVEL_OF[world], theta, preset, "the same on text, mean of both tasks")
        for what, (value, unit, threshold) in PRICES.items():
            theta = together({task: means(tables, part, value) for task, part in parts.items()})
            rows += secondary_row(question, LEVEL_OF[world], theta, preset, Estimand(what, unit, threshold))
    return rows


def failing(name: str) -> Value:
    """[S, steps] 1 where a metric of 0 and 1 is 0."""
    return lambda tables, runs: 1 - metric(name)(tables, runs)


PRICES: dict[str, tuple[Value, str, float]] = {
    "the same with lambda = 1 in the advantages": (metric(f"{KL}_mc"), "nats", 0.18),
    "log of KL under sequence mean over token mean at a true gain of 0.01": (
        log_over("kl_per_gain/equal_sequence", "kl_per_gain/equal_token"), "nats", 0.18,
    ),
    "share of measurements in which token mean does not surely ascend": (
        failing("kl_per_gain/ascends_token"), "share", 0.1,
    ),
    "share of measurements in which sequence mean does not surely ascend": (
        failing("kl_per_gain/ascends_sequence"), "share", 0.1,
    ),
}  # fmt: skip
"""What a row says -> how it is read, unit, and the size that matters."""


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    cells = {cell: walks(tables, cell) for cell in CELLS}
    measured = pd.concat([points(tables, part).assign(cell=cell) for cell, part in cells.items()], ignore_index=True)
    drawings = exact_h3_figures.figures(tables)
    if len(measured):
        strata = strata_of(tables, list(cells.values()), questions["h3a"])
        drawings["landscape"] = reduction_figures.landscape(measured, strata, questions["h3a"].threshold)
    parts = {"walk": cells["stops early"], **{task: texts(tables, task) for task in TASKS}}
    useful_at = pd.concat([usefulness(tables, name, part) for name, part in parts.items()], ignore_index=True)
    if len(useful_at):
        drawings["usefulness"] = reduction_figures.usefulness(useful_at, questions["h3b"].threshold)
    price_at = pd.concat([prices(tables, name, part) for name, part in parts.items()], ignore_index=True)
    if len(price_at):
        drawings["price"] = reduction_figures.price(price_at, questions["h3c"].threshold)
    return drawings
