"""Limitation 7, credit assignment: dilution of blame with length, and samples saved by crediting segments."""

from functools import partial

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
from analysis.tables.times import Times, paired, shared, times
from analysis.verdict import gates
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import Level, Question

CHAIN = {"world": "walk", "dials.size": 32, "dials.horizon": 64, "dials.skill": 2.0, "dials.sparsity": 0}
DECISIONS = "dials.nearest"
SOLVED, TEXT_SOLVED = 0.8, 0.4
"""J of the walk and accuracy of text whose first crossing is the time measured."""
COLLAPSED = 0.4
"""J after the last step below which a run has not got there, whatever it passed on its way down."""
TOKEN_LAMBDA, SEGMENT_LAMBDA = 0.95, 0.95**4
SEGMENT = 4.0
"""Decisions a segment."""
GATE_LAMBDAS = (0.0, 1.0)
FILLER = 3
FACTOR = float(np.log(1.25))
"""A quarter more samples."""

MIXED = {"world": "walk", "dials.size": 64, "dials.nearest": 8, "dials.farthest": 64, "dials.filler": 0}
TEXT_TASKS = ("text_walk", "chain")
MAP_PROBES = tuple(f"credit={steps}" for steps in (60, 2))
MAP = {"world": "walk", "dials.size": 16, "dials.horizon": 64, "dials.trap_reward": 0.0, "dials.modes": 1}


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h7a(tables, questions["h7a"], preset), *h7b(tables, questions["h7b"], preset)]


# --- h7a: where blame lands ---


def h7a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """How the erring step's share of blame falls with length: exact level, trained critics on the walk and on text."""
    tables = gates.split(tables).judged
    trained = [*_walk_blame(tables, question, preset), *_text_blame(tables, question, preset)]
    return [*exact_h7.h7a(tables, question, preset), *trained]


def _walk_blame(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """VAPO's rule and a constant, with the critic's values and with exact ones, on lengths from 8 to 64 decisions."""
    rules = {
        "VAPO's rule, alpha = 0.5": {**MIXED, **full_vapo(), "settings.alpha": 0.5},
        "a constant lambda of 0.9375": {**MIXED, **full_vapo("length_adaptive_gae"), "settings.fixed_lambda": 0.9375},
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
        rows = with_lengths(rows, having(tables.runs, wanted))
    return rows


def _text_blame(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """The slope under full VAPO's rule, mean of the tasks a seed has."""
    found, every = [], {"world": "lm", "task": TEXT_TASKS, **full_vapo(), "settings.alpha": 0.5}
    for task in TEXT_TASKS:
        blame = Blame.of(tables, having(tables.runs, {**every, "task": task}))
        found.append(pd.Series(blame.slopes("share"), index=blame.seeds("share")))
    theta = pd.concat(found, axis=1).mean(axis=1).dropna().to_numpy()
    what = Estimand("minus the slope of log share on log length of planted errors, VAPO's rule, alpha = 0.5, trained critic;"
                 " mean of text_walk and chain")  # fmt: skip
    return with_lengths(secondary_row(question, "tiny_lm", theta, preset, what), having(tables.runs, every))


# --- h7b: tokens or segments ---


def h7b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Exponent of samples on decisions, by token minus by segment, behind its gate; other values, lambdas, lengths; text."""
    tables, gate = gates.split(tables)
    token, segment = arm(tables.runs, 0.1, TOKEN_LAMBDA, False), arm(tables.runs, 0.1, SEGMENT_LAMBDA, True)
    stretch = float(token["mean_length"].mean()) / SEGMENT if len(token) else 0.0
    rows = _exponent(tables, token, segment, question, preset, stretch >= question.floor.least, None)
    rows = with_activity(rows, stretch)
    exact = arm(tables.runs, 0.0, TOKEN_LAMBDA, False), arm(tables.runs, 0.0, SEGMENT_LAMBDA, True)
    what = Estimand("the same with the critic's own values, no error added", equivalence=True)
    rows += _exponent(tables, *exact, question, preset, True, what)
    what = Estimand("the same with lambda left at 0.95 per segment, a horizon four times as long")
    rows += _exponent(tables, token, arm(tables.runs, 0.1, TOKEN_LAMBDA, True), question, preset, True, what)
    for decisions in sorted(token[DECISIONS].unique()) if len(token) else []:
        here = [part[part[DECISIONS] == decisions] for part in (token, segment)]
        what = Estimand(
            f"log ratio of samples to J = {SOLVED:g} at {decisions:g} decisions, by token over by segment",
            "log ratio", FACTOR, True,
        )  # fmt: skip
        rows += _ratio(tables, here[0], here[1], "val/exact_j", SOLVED, question, "walk", preset, what)
    rows += _derived(tables, question, preset)
    if len(token):
        rows = with_lengths(gates.behind(rows, question, "walk", _gate(gate), preset), gate.runs)
    return [*rows, *_text_steps(tables, question, preset)]


def arm(runs: pd.DataFrame, error: float, lam: float, by_segment: bool, filler: int = 0) -> pd.DataFrame:
    """Runs of one chain of decisions with this error of the values and this lambda, credited by segment or by token."""
    variants = " ".join([*(["credit=segment_level"] if by_segment else []), *(["values=state_error"] if error else [])])
    wanted = {**CHAIN, **full_vapo("length_adaptive_gae"), "variants": variants, "settings.fixed_lambda": lam}
    wanted |= {"dials.filler": filler, **({"settings.value_error_sd": error} if error else {})}
    found = having(runs, wanted)
    return found[found["dials.nearest"] == found["dials.farthest"]] if len(found) else found


def _gate(tables: Tables) -> gates.Reading:
    """Exponent by token at lambda 0 minus that at lambda 1."""
    one_step, full_return = shared([arm(tables.runs, 0.1, lam, False) for lam in GATE_LAMBDAS], DECISIONS)
    return gates.read(partial(_difference, tables, one_step, full_return), one_step["seed"].nunique())


def _difference(tables: Tables, arm: pd.DataFrame, reference: pd.DataFrame, level: float) -> Interval:
    """Exponent of samples to J on decisions, of an arm less its reference; collapsed runs count as not there yet."""
    both = pd.concat([arm, reference])
    found = _there(tables, both)
    first = np.repeat([True, False], [len(arm), len(reference)])
    return exponent_difference(both[DECISIONS], found.samples, found.seen, first, both["seed"], level)


def _there(tables: Tables, runs: pd.DataFrame) -> Times:
    """Samples until J is reached; runs that lose it again by their end are censored there."""
    found = times(tables, runs, "val/exact_j", SOLVED)
    kept = found.seen & (runs["last"].to_numpy(float) >= COLLAPSED)
    budget = (runs["steps"] * runs["settings.responses_per_step"]).to_numpy(float)
    return Times(np.where(kept, found.samples, budget), kept)


def _exponent(
    tables: Tables, token: pd.DataFrame, segment: pd.DataFrame, question: Question, preset: str, tested: bool,
    what: Estimand | None,
) -> list[Verdict]:  # fmt: skip
    token, segment = shared((token, segment), DECISIONS)
    if not len(token) or token[DECISIONS].nunique() < 2:
        return []
    interval_at = partial(_difference, tables, token, segment)
    found = by_interval(question, "walk", interval_at, token["seed"].nunique(), preset, tested, what)
    return with_lengths([found], pd.concat([token, segment]))


def _derived(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Length made of filler beside the same lambda per decision without it, which by arithmetic changes nothing."""
    filled, plain = (
        arm(tables.runs, 0.0, lam, False, filler)
        for filler, lam in ((FILLER, TOKEN_LAMBDA), (0, TOKEN_LAMBDA ** (FILLER + 1)))
    )
    what = Estimand("derived, lambda per decision being lambda^4: log ratio of samples, 3 filler tokens a decision at 0.95 over"
                 " none at 0.95^4, credit by token", "log ratio", FACTOR, True)  # fmt: skip
    filled, plain = paired(filled, plain, DECISIONS)
    return _ratio(tables, filled, plain, "val/exact_j", SOLVED, question, "walk", preset, what)


def _ratio(
    tables: Tables, token: pd.DataFrame, step: pd.DataFrame, metric: str, height: float, question: Question, level: Level,
    preset: str, what: Estimand,
) -> list[Verdict]:  # fmt: skip
    token, step = paired(token, step, DECISIONS)
    both = pd.concat([token, step])
    if not len(both):
        return []
    found, first = times(tables, both, metric, height), np.repeat([True, False], [len(token), len(step)])

    def interval_at(wide: float) -> Interval:
        return median_ratio(found.samples, found.seen, first, both["seed"], wide)

    row = by_interval(question, level, interval_at, token["seed"].nunique(), preset, True, what)
    return with_lengths([row], both)


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
    return [*rows, *with_lengths(_boundaries(tables, vapo, question, "tiny_lm", preset), vapo)]


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    drawings = exact_h7.figures(tables)
    tables = gates.split(tables).judged
    arms = {
        "by token": arm(tables.runs, 0.1, TOKEN_LAMBDA, False),
        "by segment, same horizon": arm(tables.runs, 0.1, SEGMENT_LAMBDA, True),
        "by segment, same lambda": arm(tables.runs, 0.1, TOKEN_LAMBDA, True),
    }
    if len(arms["by token"]):
        found = {name: _there(tables, part) for name, part in arms.items() if len(part)}
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
