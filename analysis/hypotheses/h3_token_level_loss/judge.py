"""Limitation 3, the token-level loss: curvature, gradient noise, and KL per gain under token mean and sequence mean."""

from collections.abc import Iterable, Mapping, Sequence
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
    NOISE,
    PLACES,
    RATIO,
    STRATA,
    TASKS,
    USEFUL,
    Value,
    aligned,
    at_places,
    by_stratum,
    half_difference,
    log_over,
    mean_log,
    means,
    metric,
    noise,
    points,
    prices,
    texts,
    together,
    walks,
)
from analysis.plots.drawing import Drawing
from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.statistics.jackknife import jackknife
from analysis.tables.rows import series
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import CORRECTED, NOTE, Decision, Verdict, decide, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import LEVEL_OF, Question

ACTIVITY = "activity_token_level_loss"


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """All three questions."""
    judges = {"h3a": h3a, "h3b": h3b, "h3c": h3c}
    return [row for id, judge in judges.items() for row in judge(tables, questions[id], preset)]


def spread_of(runs: Iterable[pd.DataFrame]) -> float:
    """Mean over runs of the coefficient of variation of response length; 0 without runs."""
    spread = pd.concat([part[ACTIVITY] for part in runs])
    return float(spread.mean()) if len(spread) else 0.0


# --- h3a: curvature ---

PARTS: dict[str, Value] = {
    "log ratio of sharpness, token mean over sequence mean, whatever the covariance": metric(RATIO),
    "the same with the Gauss-Newton part of the Hessian alone": metric("curvature/log_ratio_gauss_newton"),
    "log ratio of top curvatures alone, not over their slopes": log_over(
        "curvature/top_token", "curvature/top_sequence"
    ),
    "covariance of length and curvature as a share of the curvature": metric(COVARIANCE),
}


def h3a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Half the difference of the log ratio of kappa between the strata; then cells and parts, each as a mean over seeds."""
    runs = {cell: walks(tables, cell) for cell in CELLS}
    wide, rows = by_stratum(tables, list(runs.values())), []
    if len(wide):
        values, spread = wide.to_numpy(float), spread_of(runs.values())

        def interval_at(level: float) -> Interval:
            lone = [name for name in STRATA if not wide[name].notna().any()]
            if lone:
                raise NoEstimate(f"no measurement has {' or '.join(lone)}")
            return jackknife(lambda kept: half_difference(values, kept), np.arange(len(values)), level)

        strata = strata_of(wide, question)
        row = by_interval(question, "walk", interval_at, len(wide), preset, spread >= question.floor.least)
        notes = [row.strata.get(NOTE, ""), remark(strata), left_out(tables, list(runs.values()))]
        note = "; ".join(filter(None, notes))
        decision = of_both(row.decision, strata)
        rows = with_activity(
            [row._replace(strata={**strata, **({NOTE: note} if note else {})}, decision=decision)], spread
        )
    for cell, part in runs.items():
        theta, what = means(tables, part, metric(RATIO)), f"log ratio of sharpness where the base policy {cell}"
        rows += with_lengths(secondary_row(question, "walk", theta, preset, what), part)
    for what, value in PARTS.items():
        theta = together({cell: means(tables, part, value) for cell, part in runs.items()})
        rows += secondary_row(question, "walk", theta, preset, what)
    return with_lengths(rows, pd.concat(list(runs.values())))


PREDICTED: dict[str, int] = dict(zip(STRATA, (1, -1), strict=True))
"""Stratum -> sign of the log ratio that is predicted there: that of the covariance."""
LEAST_SEEDS = 0.5
"""Share of the seeds that a stratum needs to decide anything: the few that get there may be unlike the others."""


def strata_of(wide: pd.DataFrame, question: Question) -> dict[str, dict[str, Any]]:
    """The log ratio in each stratum at the corrected level, with the decision on what is predicted there.

    Args:
        wide: as of `by_stratum`.
        question: h3a.
    """
    found = {}
    for name, sign in PREDICTED.items():
        values = wide[name].dropna()
        interval = student(values, CORRECTED)
        signed = interval if sign > 0 else Interval(*(-x for x in (interval.estimate, interval.high, interval.low)))
        found[name] = {
            "effect": interval.estimate, "low": interval.low, "high": interval.high, "seeds": len(values),
            "decision": decide(signed, question.threshold, tested=len(values) >= LEAST_SEEDS * len(wide)),
        }  # fmt: skip
    return found


def of_both(decision: Decision | None, strata: Mapping[str, Mapping[str, Any]]) -> Decision | None:
    """The decision on half the difference, supported only if both strata are.

    One of them may carry the difference alone: then it is conditional if the other is refuted, else undecided.
    """
    found = [part["decision"] for part in strata.values()]
    if decision != "supported" or set(found) == {"supported"}:
        return decision
    refuted = {"refuted_opposite", "refuted_negligible"} & set(found)
    return "conditional" if refuted and "supported" in found else "undecided"


def remark(strata: Mapping[str, Mapping[str, Any]]) -> str:
    """What the strata say of the prediction; nothing if neither decides."""
    found = {name: part["decision"] for name, part in strata.items()}
    against = [name for name, decision in found.items() if decision == "refuted_opposite"]
    as_predicted = [name for name, decision in found.items() if decision == "supported"]
    if against:
        return f"the reverse of the predicted sign at {' and at '.join(against)}"
    if len(as_predicted) == len(PREDICTED):
        return "the predicted sign in both strata"
    return f"as predicted at {as_predicted[0]} alone" if as_predicted else ""


def left_out(tables: Tables, runs: Sequence[pd.DataFrame]) -> str:
    """How many measurements have a covariance and no log ratio, in words; nothing if none."""
    ratio, covariance = aligned(tables, pd.concat(runs, ignore_index=True), RATIO, COVARIANCE)
    lost, all_ = int((np.isnan(ratio) & np.isfinite(covariance)).sum()), int(np.isfinite(covariance).sum())
    return f"{lost} of {all_} measurements are left out, whose slope is not clear of 0" if lost else ""


# --- h3b: noise ---


def h3b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Log ratio of noise over signal on text; each task; the walk; gradient quality beside it; R6's parts; exact level."""
    text = {task: texts(tables, task) for task in TASKS}
    spread = spread_of(text.values())
    rows = _mean_log(tables, question, "lm", text, preset, tested=spread >= question.floor.least)
    rows = with_activity(rows, spread)
    for task, part in text.items():
        rows += _mean_log(tables, question, "lm", {task: part}, preset, f"the same on {task} alone")
    walk = {"walk": walks(tables, "stops early")}
    rows += _mean_log(tables, question, "walk", walk, preset, "the same on the walk")
    for world, runs in (("lm", text), ("walk", walk)):
        rows += _mean_log(tables, question, world, runs, preset, QUALITY, USEFUL)
        for what, (name, unit, threshold) in BESIDE.items():
            theta = together(
                {task: means(tables, part, metric(f"gradient_quality/{name}")) for task, part in runs.items()}
            )
            row = secondary_row(question, LEVEL_OF[world], theta, preset, Estimand(what, unit, threshold))
            rows += with_lengths(row, pd.concat(list(runs.values())))
    return rows + exact_h3.h3b(tables, question, preset)


QUALITY = (
    "log[Q_token / Q_sequence] at one optimiser step's responses, Q the share of a gradient's power along grad J; above 0"
    " token mean is worth more responses"
)

BESIDE: dict[str, tuple[str, str, float]] = {
    "log of Var_token / Var_sequence that R6 gives at the measured rho and lengths": ("log_variance_predicted", "nats", 0.18),
    "rho, correlation of token gradients within a response": ("rho", "correlation", 0.05),
    "cosine of token mean's expected gradient with grad J": ("cosine_token", "cosine", 0.1),
    "cosine of sequence mean's expected gradient with grad J": ("cosine_sequence", "cosine", 0.1),
}  # fmt: skip
"""What a row says -> metric, unit, and the size that matters."""


def _mean_log(
    tables: Tables, question: Question, world: str, runs: Mapping[str, pd.DataFrame], preset: str, what: str = "",
    names: Sequence[str] = NOISE, tested: bool = True,
) -> list[Verdict]:  # fmt: skip
    """A row of `mean_log` over tasks and `PLACES`; the first half of the names above, the other below."""
    parts, half = at_places(tables, runs, *names), len(names) // 2
    seeds = len(parts[0])
    if not seeds:
        return []
    places = [f"{task}, step {step}" for task in runs for step in PLACES]
    estimand = Estimand(what) if what else None
    row = by_interval(
        question, LEVEL_OF[world], lambda level: mean_log(parts[:half], parts[half:], places, level), seeds, preset,
        tested, estimand,
    )  # fmt: skip
    lost = min(part["seed"].nunique() for part in runs.values()) - seeds
    left = {NOTE: f"{lost} seeds are left out, which lack a task or a place"} if lost else {}
    return with_lengths([row._replace(strata={**left, **row.strata})], pd.concat(list(runs.values())))


# --- h3c: KL per gain ---


def h3c(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Log ratio of KL per squared gain on the walk; with lambda = 1; at an equal true gain; directions that do not ascend."""
    runs, rows = walks(tables, "stops early"), []
    theta = means(tables, runs, metric(KL))
    if len(theta):
        spread = spread_of([runs])
        row = verdict(question, "walk", theta, preset, spread >= question.floor.least)
        rows = with_activity([row._replace(strata={**unpriced(tables, runs), **row.strata})], spread)
    for step in PLACES:
        theta = means(tables, runs, at_step(KL, step))
        rows += secondary_row(question, "walk", theta, preset, f"the same after {step} RL steps alone")
    here, text = 0, {task: texts(tables, task) for task in TASKS}
    for world, parts in (("walk", {"walk": runs}), ("lm", text)):
        if world == "lm":
            here = len(rows)
            theta = together({task: means(tables, part, metric(KL)) for task, part in parts.items()})
            rows += secondary_row(question, LEVEL_OF[world], theta, preset, "the same on text, mean of both tasks")
        for what, (value, unit, threshold) in PRICES.items():
            theta = together({task: means(tables, part, value) for task, part in parts.items()})
            rows += secondary_row(question, LEVEL_OF[world], theta, preset, Estimand(what, unit, threshold))
    return [*with_lengths(rows[:here], runs), *with_lengths(rows[here:], pd.concat(list(text.values())))]


def unpriced(tables: Tables, runs: pd.DataFrame) -> dict[str, str]:
    """How many measurements have no price, in words, under `NOTE`; nothing if none."""
    ratio, ascends = aligned(tables, runs, KL, "kl_per_gain/ascends_token")
    lost, all_ = int((np.isnan(ratio) & np.isfinite(ascends)).sum()), int(np.isfinite(ascends).sum())
    return (
        {NOTE: f"{lost} of {all_} measurements are left out, where a direction does not surely ascend"} if lost else {}
    )


def at_step(name: str, step: int) -> Value:
    """[S, 1] one metric at one step."""
    return lambda tables, runs: series(tables, runs["spec"], name).reindex(columns=[step]).to_numpy(float)


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
        strata = strata_of(by_stratum(tables, list(cells.values())), questions["h3a"])
        drawings["landscape"] = reduction_figures.landscape(measured, strata, questions["h3a"].threshold)
    parts = {"walk": cells["stops early"], **{task: texts(tables, task) for task in TASKS}}
    noise_at = pd.concat([noise(tables, name, part) for name, part in parts.items()], ignore_index=True)
    if len(noise_at):
        drawings["noise"] = reduction_figures.noise(noise_at, questions["h3b"].threshold)
    price_at = pd.concat([prices(tables, name, part) for name, part in parts.items()], ignore_index=True)
    if len(price_at):
        drawings["price"] = reduction_figures.price(price_at, questions["h3c"].threshold)
    return drawings
