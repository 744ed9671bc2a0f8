"""Limitation 1, value fidelity: size and place of the critic's errors, their effect, and forgetting."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from analysis.hypotheses.h1_value_fidelity import exact as exact_h1
from analysis.hypotheses.h1_value_fidelity import figures as value_figures
from analysis.hypotheses.h1_value_fidelity import pathways
from analysis.hypotheses.h1_value_fidelity.tables import (
    LONG_WALK,
    PER,
    PLAIN,
    SHIFT,
    TEXT,
    Weights,
    dose_points,
    falls_of,
    over_tasks,
    own_growth,
    paired_growth,
    per_nat,
    quarters,
    twin_levels,
    weighed,
)
from analysis.plots.drawing import Drawing
from analysis.statistics.intervals import Interval, student
from analysis.tables.rows import ends, having
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import Verdict, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.questions import LEVEL_OF, Question

BEHIND: Weights = {"baseline_error/behind_train": 1}
"""FVU of the critic minus that of the group mean, on problems that are trained on: how far it is behind as a baseline."""
FLOOR, EXCESS = "approximation_floor/fvu_held_out", "approximation_floor/excess_held_out"
WHERE: dict[str, Weights] = {
    "the same on held-out problems": {"baseline_error/behind_held_out": 1},
    "FVU of the critic": {"baseline_error/fvu_train": 1},
    "FVU of the mean of G - 1 other answers, its noise included": {"baseline_error/fvu_group_mean_train": 1},
    "FVU of the prompt's own value, a mean of endlessly many answers": {"baseline_error/fvu_prompt_train": 1},
    "FVU of the critic minus that of the best value that knows the position alone": {
        "baseline_error/fvu_train": 1, "baseline_error/fvu_position_train": -1,
    },
    "the critic's FVU minus the group mean's in the first quarter of answers to held-out problems": {
        "baseline_error/fvu_q1": 1, "baseline_error/fvu_group_mean_q1": -1,
    },
    "the critic's FVU minus the group mean's in the last quarter of answers to held-out problems": {
        "baseline_error/fvu_q4": 1, "baseline_error/fvu_group_mean_q4": -1,
    },
    "FVU of the critic on held-out problems": {"baseline_error/fvu_held_out": 1},
    "part of that: the approximation floor, what its network leaves however many answers it is fitted to": {
        FLOOR: 1,
    },
    "part of that: the excess over the floor": {EXCESS: 1},
    "that excess in the first quarter of a response minus in the last": {
        "approximation_floor/excess_q1": 1, "approximation_floor/excess_q4": -1,
    },
    "what the last doubling of answers took off that floor (settled below 0.02)": {"approximation_floor/fall": 1},
    "FVU of the mean of 16 continuations (its noise)": {"value_error/fvu_monte_carlo_held_out": 1},
}  # fmt: skip
"""Secondary rows of h1a; the best constant has FVU 1."""

RATE: dict[str, float] = {"walk": 2e-3, "lm": 4e-4}
"""The policy's own rate in each world."""

RARE: Weights = {"forgetting/fvu_rare_kept": 1, "forgetting/fvu_frequent": -1}
CRITICAL: Weights = {"forgetting/fvu_critical": 1, "forgetting/fvu_frequent": -1}
AUC_MATTERS = 0.02


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """All three questions."""
    judges = {"h1a": h1a, "h1b": h1b, "h1c": h1c}
    return [row for id, judge in judges.items() for row in judge(tables, questions[id], preset)]


# --- h1a: how wrong, and where ---


def h1a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """How far the critic is behind the group mean after RL: tasks of text, each alone, before RL, the walk; its parts."""
    runs = {task: having(tables.runs, {**cell, **PLAIN}) for task, cell in TEXT.items()}
    walk = {"walk": having(tables.runs, {"world": "walk", **PLAIN})}
    rows = []
    theta = over_tasks(tables, runs, BEHIND)
    if len(theta):
        floors = [weighed(tables, own, {FLOOR: 1})["after"].mean() for own in runs.values()]
        explained = 1 - float(np.mean(floors))
        enough = explained >= question.floor.least
        rows += with_activity([verdict(question, "tiny_lm", theta, preset, enough)], explained)
    rows += secondary_row(
        question, "tiny_lm", over_tasks(tables, runs, BEHIND, "before"), preset, "the same before the first RL step"
    )
    for task, own in {**runs, "long text walk": having(tables.runs, {**LONG_WALK, **PLAIN})}.items():
        for time in ("after", "before"):
            what = f"the same on {task} alone, {time} RL"
            rows += secondary_row(question, "tiny_lm", weighed(tables, own, BEHIND)[time], preset, what)
    for time in ("after", "before"):
        what = f"the same on the walk, values exact, {time} RL"
        rows += secondary_row(question, "walk", over_tasks(tables, walk, BEHIND, time), preset, what)
    for what, weights in WHERE.items():
        rows += secondary_row(question, "tiny_lm", over_tasks(tables, runs, weights), preset, what)
        rows += secondary_row(question, "walk", over_tasks(tables, walk, weights), preset, what)
    return rows + _alternatives(tables, question, preset)


def _alternatives(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """What other sources of values are worth, and what they cost."""
    rows = []
    for (start, values), part in pathways.gains(tables).groupby(["start", "values"], sort=False):
        what = f"AUC with {values} minus that with the critic's own values, {start}"
        rows += secondary_row(question, "walk", part["gain"], preset, Estimand(what, "AUC", AUC_MATTERS))
        what = f"log ratio of tokens sampled, {values} over the critic's own, {start}"
        rows += secondary_row(question, "walk", part["log_tokens"], preset, Estimand(what, "nats", float(np.log(2))))
    return rows


# --- h1b: what errors do ---


def h1b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Exact: bias of the gradient. Learned: fall of AUC per 0.1 of error in the advantages, by lambda, error and length."""
    rows = exact_h1.h1b(tables, question, preset)
    for world in ("walk", "lm"):
        for (kind, fixed, lam), falls in falls_of(tables, world).items():
            length = "one length" if fixed else "lengths that vary"
            what = f"fall of AUC per {PER} of {ERROR_NAMES[kind]}, lambda {lam:g}, responses of {length}"
            rows += secondary_row(question, LEVEL_OF[world], falls, preset, Estimand(what, "AUC", AUC_MATTERS))
    return rows


ERROR_NAMES: dict[str, str] = {
    "state": "a frozen error by state",
    "position": "a frozen error by position alone",
    "fresh": "an error drawn afresh for every token",
}
# --- h1c: forgetting ---


def h1c(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Growth of the error on rare places: the smaller of the run's own and that beyond the twin's; critical places; by shift."""
    rows = []
    for world in ("walk", "lm"):
        pairs, level = paired_growth(tables, world, RARE), LEVEL_OF[world]
        own = pairs[np.isclose(pairs["rate"], RATE[world])]
        if len(own):
            rows += _forgotten(tables, question, world, preset, own)
        still = pairs[pairs["rate"] == 0.0]
        rows += secondary_row(
            question, level, still["excess"], preset, "growth beyond the twin's with a frozen policy (rate 0)"
        )
        critical = paired_growth(tables, world, CRITICAL)
        critical = critical[np.isclose(critical["rate"], RATE[world])]
        what = "growth beyond the twin's on critical places, some of them rehearsed"
        rows += secondary_row(question, level, critical["excess"], preset, what)
        slope = Estimand("slope of the growth beyond the twin's on the policy's shift, by its rate", "share/nat", 0.02)
        rows += secondary_row(question, level, per_nat(pairs), preset, slope)
    return rows


def _forgotten(tables: Tables, question: Question, world: str, preset: str, own: pd.DataFrame) -> list[Verdict]:
    """The question's row and its parts, of twins at the policy's own rate."""
    level, growth = LEVEL_OF[world], own_growth(tables, own["spec"])
    both = [own["excess"].to_numpy(), growth]
    moved, known = before_and_after(tables, world, own["seed"])
    named = None if level == question.primary else Estimand("the same at this level")
    tested = bool(moved >= question.floor.least and known > 0)
    row = by_interval(question, level, partial(smaller_of, both), len(own), preset, tested, named)
    rows = with_activity([row], moved)
    for theta, what in (
        (both[0], "growth of E_rare - E_frequent beyond the twin's"),
        (growth, "growth of the run's own E_rare, both errors over the starting Var(V)"),
        (own["plain"], "growth of E_rare - E_frequent alone, no twin taken off"),
        (own["plain_twin"], "growth of E_rare - E_frequent of the twin that rehearses rare places"),
    ):
        rows += secondary_row(question, level, theta, preset, what)
    return rows


def smaller_of(parts: Sequence[np.ndarray], level: float) -> Interval:
    """Interval of the smallest of several means, each of theta [S] by seed: what all of them show.

    Its bounds are the smallest of the parts' own: the lower at `level`, and the upper, which misses where any part's does,
    at 1 - (1 - level) / n for n parts. So either is missed with probability (1 - level) / 2 at most, whatever their
    correlation (an intersection-union test, Berger 1982).
    """
    narrow = [student(x, level) for x in parts]
    wide = [student(x, 1 - (1 - level) / len(parts)) for x in parts]
    return Interval(min(x.estimate for x in narrow), min(x.low for x in narrow), min(x.high for x in wide))


def before_and_after(tables: Tables, world: str, seeds: pd.Series) -> tuple[float, float]:
    """How far the policy moved, nats a response; how far rare places lay below the best position-only critic's at t0, FVU."""
    runs = having(tables.runs, {"world": world, **PLAIN, "settings.policy_lr": RATE[world], "seed": tuple(seeds)})
    moved = ends(tables, runs, SHIFT)[:, 1]
    known = ends(tables, runs, "forgetting/fvu_position_rare")[:, 0] - ends(tables, runs, "forgetting/fvu_rare")[:, 0]
    return float(np.nanmean(moved)), float(np.nanmean(known))


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    drawings = exact_h1.figures(tables)
    points, levels = quarters(tables)
    if len(points):
        drawings["error_by_quarter"] = value_figures.by_quarter(points, levels)
    falls = dose_points(tables)
    if len(falls):
        drawings["planted_errors"] = value_figures.doses(falls)
    gained = pathways.gains(tables)
    if len(gained):
        drawings["pathways"] = pathways.figure(gained)
    pairs = paired_growth(tables, "walk", RARE)
    if len(pairs):
        own = pairs[np.isclose(pairs["rate"], RATE["walk"])]
        pairs = pairs.assign(rate=(pairs["rate"] / RATE["walk"]).round(6))
        drawings["forgetting"] = value_figures.forgetting(twin_levels(tables, own), pairs)
    return drawings
