"""Limitation 7, credit assignment: how blame thins out with length, and what credit by steps saves over credit by tokens."""

import numpy as np
import pandas as pd

from analysis.hypotheses.components import boundaries
from analysis.hypotheses.h7_credit_assignment import exact as exact_h7
from analysis.hypotheses.h7_credit_assignment import figures as credit_figures
from analysis.hypotheses.h7_credit_assignment.tables import Blame, binned_share
from analysis.plots.drawing import Drawing
from analysis.statistics.aft import exponent_difference, median_ratio
from analysis.statistics.intervals import Interval
from analysis.tables.rows import at_step, full_vapo, having
from analysis.tables.schema import Tables
from analysis.tables.times import shared, times
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.questions import Level, Question

STEPPED = {"world": "walk", "dials.size": 32, "dials.horizon": 32, "dials.filler": 3, "dials.skill": 2.0}
DECISIONS = "dials.nearest"
SOLVED, TEXT_SOLVED = 0.8, 0.4
"""J of the walk and accuracy of text whose first crossing is the time measured."""
TOKEN_LAMBDA, STEP_LAMBDA = 0.95, 0.95**4
FACTOR = float(np.log(1.25))
"""A quarter more samples."""

MIXED = {"world": "walk", "dials.size": 32, "dials.nearest": 2, "dials.farthest": 32, "dials.filler": 0}
TEXT_TASKS = ("text_walk", "chain")
MAP_PROBES = tuple(f"credit={steps}" for steps in (60, 2))
MAP = {"world": "walk", "dials.size": 16, "dials.horizon": 64, "dials.trap_reward": 0.0, "dials.modes": 1}


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h7a(tables, questions["h7a"], preset), *h7b(tables, questions["h7b"], preset)]


# --- h7a: where blame lands ---


def h7a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """How the erring step's share of blame falls with length: exact level, trained critics on the walk and on text."""
    trained = [*_walk_blame(tables, question, preset), *_text_blame(tables, question, preset)]
    return [*exact_h7.h7a(tables, question, preset), *trained]


def _walk_blame(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """VAPO's rule and a constant, with the critic's values and with exact ones, on lengths from 2 to 32 decisions."""
    rules = {
        "VAPO's rule, alpha = 0.5": {**MIXED, **full_vapo(), "settings.alpha": 0.5},
        "a constant lambda of 0.875": {**MIXED, **full_vapo("length_adaptive_gae"), "settings.fixed_lambda": 0.875},
    }
    rows = []
    for name, wanted in rules.items():
        blame = Blame.of(tables, having(tables.runs, wanted))
        for column, whose in (("share", "the trained critic's values"), ("share_exact", "true values")):
            theta = blame.slopes(column)
            what = Estimand(f"minus the slope of log share on log length of planted errors, {name}, {whose}")
            rows += secondary_row(question, "walk", theta, preset, what)
        level = Estimand(
            f"0.5 less the share of blame inside the erring step, {name}, trained critic", "share of blame", 0.05
        )
        rows += secondary_row(question, "walk", 0.5 - blame.mean("share"), preset, level)
        ranked = Estimand(
            f"AUROC within a response, {name}, trained critic, less the 0.5 of chance", "probability", 0.05
        )
        rows += secondary_row(question, "walk", blame.mean("auroc") - 0.5, preset, ranked)
    return rows


def _text_blame(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The slope under full VAPO's rule, mean of the tasks a seed has."""
    found = []
    for task in TEXT_TASKS:
        runs = having(tables.runs, {"world": "lm", "task": task, **full_vapo(), "settings.alpha": 0.5})
        blame = Blame.of(tables, runs)
        found.append(pd.Series(blame.slopes("share"), index=blame.seeds("share")))
    theta = pd.concat(found, axis=1).mean(axis=1).dropna().to_numpy()
    what = Estimand("minus the slope of log share on log length of planted errors, VAPO's rule, alpha = 0.5, trained critic;"
                 " mean of text_walk and chain")  # fmt: skip
    return secondary_row(question, "tiny_lm", theta, preset, what)


# --- h7b: tokens or steps ---


def h7b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Exponent of samples on decisions, by token minus by step; flat values; lambda left as it was; single lengths; text."""
    token, step = arm(tables.runs, 0.1, TOKEN_LAMBDA, False), arm(tables.runs, 0.1, STEP_LAMBDA, True)
    rows = _exponent(tables, token, step, question, preset, _inside(tables, token) >= question.floor.least, None)
    flat = arm(tables.runs, 0.0, TOKEN_LAMBDA, False), arm(tables.runs, 0.0, STEP_LAMBDA, True)
    what = Estimand("the same with the critic's own values, flat within a step", equivalence=True)
    rows += _exponent(tables, *flat, question, preset, True, what)
    what = Estimand("the same with lambda left at 0.95 per step, a horizon four times as long")
    rows += _exponent(tables, token, arm(tables.runs, 0.1, TOKEN_LAMBDA, True), question, preset, True, what)
    for decisions in sorted(token[DECISIONS].unique()) if len(token) else []:
        here = [part[part[DECISIONS] == decisions] for part in (token, step)]
        what = Estimand(
            f"log ratio of samples to J = {SOLVED:g} at {decisions:g} decisions, by token over by step",
            "log ratio",
            FACTOR,
            True,
        )
        rows += _ratio(tables, here[0], here[1], "val/exact_j", SOLVED, question, "walk", preset, what)
    return [*rows, *_boundaries(tables, token, question, "walk", preset), *_text_steps(tables, question, preset)]


def arm(runs: pd.DataFrame, error: float, lam: float, by_step: bool) -> pd.DataFrame:
    """Runs on the stepped walk with this error of the values and this lambda, credited by step or by token."""
    variants = " ".join([*(["credit=step_level"] if by_step else []), *(["values=fresh_error"] if error else [])])
    wanted = {**STEPPED, **full_vapo("length_adaptive_gae"), "variants": variants, "settings.fixed_lambda": lam}
    return having(runs, {**wanted, **({"settings.value_error_sd": error} if error else {})})


def _exponent(
    tables: Tables, token: pd.DataFrame, step: pd.DataFrame, question: Question, preset: str, tested: bool,
    what: Estimand | None,
) -> list[Verdict]:  # fmt: skip
    token, step = shared((token, step), DECISIONS)
    if token[DECISIONS].nunique() < 2:
        return []
    both = pd.concat([token, step])
    found = times(tables, both, "val/exact_j", SOLVED)
    first = np.repeat([True, False], [len(token), len(step)])

    def interval_at(level: float) -> Interval:
        return exponent_difference(both[DECISIONS], found.samples, found.seen, first, both["seed"], level)

    return [by_interval(question, "walk", interval_at, token["seed"].nunique(), preset, tested, what)]


def _ratio(
    tables: Tables, token: pd.DataFrame, step: pd.DataFrame, metric: str, height: float, question: Question, level: Level,
    preset: str, what: Estimand,
) -> list[Verdict]:  # fmt: skip
    token, step = shared((token, step), "steps")
    both = pd.concat([token, step])
    if not len(both):
        return []
    found, first = times(tables, both, metric, height), np.repeat([True, False], [len(token), len(step)])

    def interval_at(wide: float) -> Interval:
        return median_ratio(found.samples, found.seen, first, both["seed"], wide)

    return [by_interval(question, level, interval_at, token["seed"].nunique(), preset, True, what)]


def _inside(tables: Tables, runs: pd.DataFrame) -> float:
    """Root mean square TD error of the values used on tokens inside steps, per token; 0 without a measurement."""
    whole, edge = (at_step(tables, runs["spec"], f"credit/td_square{name}") for name in ("", "_boundary"))
    left = (whole - edge)[~np.isnan(whole - edge)]
    return float(np.sqrt(max(left.mean(), 0.0))) if left.size else 0.0


def _boundaries(tables: Tables, runs: pd.DataFrame, question: Question, level: Level, preset: str) -> list[Verdict]:
    """How much more of the squared TD error stands on first tokens of steps than of the true one."""
    used, true = (at_step(tables, runs["spec"], f"credit/boundary_share{name}") for name in ("", "_true"))
    excess = pd.Series(used - true, index=runs["seed"].to_numpy()).dropna().groupby(level=0).mean().to_numpy()
    what = Estimand(
        "share of squared TD error on first tokens of steps, of the values used minus of true ones, credit by token",
        "share",
        0.10,
    )
    return secondary_row(question, level, excess, preset, what)


def _text_steps(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """text_walk: two tokens a step, a critic that tells them apart."""
    off = {"world": "lm", "task": "text_walk", **full_vapo("length_adaptive_gae")}
    lam = {False: TOKEN_LAMBDA, True: TOKEN_LAMBDA**2}
    token, step = (
        having(tables.runs, {**off, "variants": "credit=step_level" if by_step else "", "settings.fixed_lambda": lam[by_step]})
        for by_step in (False, True)
    )  # fmt: skip
    what = Estimand(
        f"log ratio of samples to accuracy {TEXT_SOLVED:g} on text_walk, by token over by step",
        "log ratio",
        FACTOR,
        True,
    )
    rows = _ratio(tables, token, step, "val/pass_at_1", TEXT_SOLVED, question, "tiny_lm", preset, what)
    vapo = having(tables.runs, {"world": "lm", "task": "text_walk", **full_vapo(), "settings.alpha": 0.5})
    return [*rows, *_boundaries(tables, vapo, question, "tiny_lm", preset)]


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    drawings = exact_h7.figures(tables)
    arms = {
        "by token": arm(tables.runs, 0.1, TOKEN_LAMBDA, False),
        "by step, same horizon": arm(tables.runs, 0.1, STEP_LAMBDA, True),
        "by step, same lambda": arm(tables.runs, 0.1, TOKEN_LAMBDA, True),
    }
    if len(arms["by token"]):
        found = {name: times(tables, part, "val/exact_j", SOLVED) for name, part in arms.items() if len(part)}
        drawings["samples"] = credit_figures.samples(
            pd.concat(
                [
                    pd.DataFrame(
                        {"arm": name, "decisions": arms[name][DECISIONS], "samples": x.samples, "seen": x.seen}
                    )
                    for name, x in found.items()
                ]
            ),
            SOLVED,
        )
    blame = Blame.of(tables, having(tables.runs, {**MIXED, **full_vapo(), "settings.alpha": 0.5}))
    if len(blame.errors):
        drawings["blame"] = credit_figures.blame(blame.errors, binned_share)
    mapped = having(tables.runs, {**MAP, **full_vapo(), "settings.alpha": 0.5, "probes": MAP_PROBES})
    if len(mapped):
        mapped = mapped.assign(precision=at_step(tables, mapped["spec"], "credit/precision_at_1"))
        drawings |= _maps(mapped)
    return drawings


def _maps(runs: pd.DataFrame) -> dict[str, Drawing]:
    """J, and the share of planted errors that are found, over waypoints and filler."""
    x, y = ("dials.sparsity", "waypoints to be passed in order"), ("dials.filler", "filler tokens after a move")
    labels = {"last": "J after the last step", "precision": "share of errors found"}
    return {
        f"map_{name}": boundaries.figure(boundaries.cells(runs, x[0], y[0], name), x[1], y[1], label)
        for name, label in labels.items()
    }
