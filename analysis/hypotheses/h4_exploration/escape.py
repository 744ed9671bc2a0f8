"""h4a: how much deeper a trap is escaped with the three components on, and what other ways to explore are worth.

Problems of the trap lie to the left or to the right, and a policy may find one direction and stay caught in the other: it then
earns about 0.6, between the 0.2 of the shortcut and 1. So a run's J is read as the number of directions it found, by cuts
halfway between what none, one and both of them earn.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.hypotheses.h4_exploration.tables import ESCAPE as TEXT_ESCAPE
from analysis.statistics.dose_response import shift_over_seeds
from analysis.statistics.intervals import Interval
from analysis.tables.rows import at_step, full_vapo, having
from analysis.tables.schema import Tables
from analysis.tables.times import paired
from analysis.verdict import gates
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import Verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import Level, Question

TRIO = ("clip_higher", "positive_lm_loss", "group_sampling")
RING = {"world": "walk", "dials.size": 32, "dials.horizon": 24, "dials.trap_reward": 0.2, "dials.modes": 1}
TRAP = {**RING, "dials.nearest": 5, "dials.farthest": 5}
CUTS = (0.4, 0.8)
"""J above which one direction is found, and both: halfway between 0.2, 0.6 and 1."""
GUARANTEE = 10.0
"""Right answers to be expected of as many responses of the base policy, from which on no escape would be bad luck."""
DEPTH, EARLY = "exploration/exact_depth", "exploration/exact_solved"

OWN = {"settings.entropy_coef": 0.0, "settings.temperature": 1.0, "settings.group_size": 16}
"""What pathways change."""
ALL: dict[str, Any] = {**full_vapo(), **OWN}
NONE: dict[str, Any] = {**full_vapo(*TRIO), **OWN}
PATHWAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "entropy_bonus": ("an entropy bonus of 0.01", {"settings.entropy_coef": 0.01}),
    "temperature": (
        "a policy sampled, trained and evaluated at temperature 1.5; depth is that of the base at temperature 1",
        {"settings.temperature": 1.5},
    ),
    "small_groups": ("4 answers a prompt in place of 16, as many responses", {"settings.group_size": 4}),
    "large_groups": ("64 answers a prompt in place of 16, as many responses", {"settings.group_size": 64}),
    "dynamic_sampling": (
        "DAPO's dynamic sampling, which may draw four times as many responses: ln 4 = 1.4 nats by R10",
        {"variants": "select_groups=dynamic_sampling"},
    ),
}
"""Name -> what is added to full VAPO, in words and in columns."""


def h4a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Shift of the depth escaped half the time, all three on minus all off; each alone; other pathways; text; guarantee."""
    tables = gates.split(tables).judged
    runs = trapped(tables)
    on, off = having(runs, ALL), having(runs, NONE)
    both = pd.concat([on, off])
    share = float(both["escaped"].mean()) if len(both) else 0.0
    rarer = min(share, 1 - share)
    rows = with_activity(_shift(question, "walk", on, off, preset, rarer >= question.floor.least), rarer)
    for name in TRIO:
        alone = having(runs, {**full_vapo(*(other for other in TRIO if other != name)), **OWN})
        rows += _shift(
            question, "walk", alone, off, preset, True, f"the same shift, {name} alone on minus all three off"
        )
    for label, changed in PATHWAYS.values():
        other = having(runs, {**ALL, **changed})
        rows += _shift(
            question, "walk", other, on, preset, True, f"pathway: the same shift, full VAPO with {label}, minus without"
        )
    text = trapped_text(tables)
    what = "the same shift on task trap, depth: log-odds of guessing among demonstrations, escape: accuracy 0.5"
    rows += _shift(question, "tiny_lm", having(text, full_vapo()), having(text, full_vapo(*TRIO)), preset, True, what)
    return rows + _guarantee(on, question, preset)


def trapped(tables: Tables) -> pd.DataFrame:
    """Runs of the walk's trap with `dose` (nats), `expected` right answers and `escaped`, the share of directions found.

    The dose is the mean over seeds of the base policy's exact depth at temperature 1, whatever the arm's own temperature.
    """
    runs = having(tables.runs, TRAP)
    if not len(runs):
        return runs.assign(dose=[], expected=[], escaped=[], trials=[])
    found = runs.assign(
        depth=at_step(tables, runs["spec"], DEPTH, last=False),
        expected=at_step(tables, runs["spec"], EARLY, last=False) * runs["settings.responses_per_step"] * runs["steps"],
        escaped=np.mean([runs["last"] > cut for cut in CUTS], axis=0),
        trials=len(CUTS),
    )
    plain = having(found, {"settings.temperature": 1.0}).groupby("dials.trap_prior")[["depth", "expected"]].mean()
    dial = found["dials.trap_prior"]
    return found.assign(dose=dial.map(plain["depth"]), expected=dial.map(plain["expected"]))


def trapped_text(tables: Tables) -> pd.DataFrame:
    """Runs of the text trap with `dose` (nats, log-odds of guessing among demonstrations) and `escaped`, 0 or 1."""
    runs = having(tables.runs, {"world": "lm", "task": "trap"})
    if not len(runs):
        return runs.assign(dose=[], escaped=[], trials=[])
    guessing = runs["dials.guess_share"].astype(float)
    escaped = (runs["last"] >= TEXT_ESCAPE).astype(float)
    return runs.assign(dose=np.log(guessing / (1 - guessing)), escaped=escaped, trials=1)


def directions(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per run and direction, `hit` 1.0 for each of those that the run found."""
    if not len(runs):
        return runs.assign(hit=[])
    each = runs.loc[runs.index.repeat(runs["trials"])]
    number = each.groupby(level=0).cumcount().to_numpy()
    return each.assign(hit=(number < np.rint(each["escaped"] * each["trials"])).astype(float))


def _shift(
    question: Question, level: Level, arm: pd.DataFrame, reference: pd.DataFrame, preset: str, tested: bool,
    estimand: str = "",
) -> list[Verdict]:  # fmt: skip
    """A row from the runs that are paired; none where there are fewer than two depths."""
    arm, reference = paired(arm, reference, "dose")
    if arm["dose"].nunique() < 2:
        return []
    parts = [directions(part) for part in (arm, reference)]
    both, other = pd.concat(parts), np.repeat([True, False], [len(part) for part in parts])

    def interval_at(wide: float) -> Interval:
        found = shift_over_seeds(both["dose"], both["hit"], other, both["seed"], wide)
        return Interval(found.shift, found.low, found.high)

    what = Estimand(estimand, "nats", equivalence=True) if estimand else None
    found = by_interval(question, level, interval_at, arm["seed"].nunique(), preset, tested, what)
    return with_lengths([found], pd.concat([arm, reference]))


def _guarantee(on: pd.DataFrame, question: Question, preset: str) -> list[Verdict]:
    """Share of directions that full VAPO does not find although right answers were to be expected."""
    sure = on[on["expected"] >= GUARANTEE] if len(on) else on
    if not len(sure):
        return []
    what = Estimand(f"share of directions that full VAPO does not find where {GUARANTEE:g} right answers or more were to be"
                 " expected of the base policy", "share of directions", 0.05)  # fmt: skip
    missed = 1 - sure.groupby("seed")["escaped"].mean()
    return with_lengths(secondary_row(question, "walk", missed, preset, what), sure)
