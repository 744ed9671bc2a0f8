"""Limitation 4, exploration: escape from traps (`escape.py`), and diversity of modes at equal J."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.hypotheses.components import boundaries
from analysis.hypotheses.h4_exploration import figures as exploration_figures
from analysis.hypotheses.h4_exploration.escape import ALL, NONE, RING, directions, h4a, trapped, trapped_text
from analysis.plots.drawing import Drawing
from analysis.statistics.aft import median_ratio
from analysis.statistics.intervals import student
from analysis.tables.rows import at_step, crossing, full_vapo, having, series
from analysis.tables.schema import Tables
from analysis.verdict import gates
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import NOTE, Verdict, verdict
from analysis.verdict.estimates import Estimand, by_interval, secondary_row
from analysis.verdict.lengths import with_lengths
from analysis.verdict.questions import Question

FORK = {"world": "walk", "dials.size": 16, "dials.modes": 2, "dials.hazard": 0}
SOLVED, ENTROPY = "exploration/exact_solved", "exploration/exact_mode_entropy"
PREFIXES = "exploration/prefix_entropy"
EPOCHS = (2, 1)
"""Passes over a batch; the first is the question's."""
GATE_WEIGHT = 10.0
"""mu of the gate."""
MATCHED, SATURATED, UPDATES = 0.9, 0.95, 200
REACHED = 0.8
"""Share of the seeds that must get there in both arms: those that do not may be the ones that lost a mode."""

Arms = tuple[pd.DataFrame, pd.DataFrame]
"""Rows of an arm and of its reference."""

Place = Callable[[np.ndarray, np.ndarray], float]
"""(steps [n], values of the clock [n]) -> a step, nan if there is none."""


def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
    """Both questions."""
    return [*h4a(tables, questions["h4a"], preset), *h4b(tables, questions["h4b"], preset)]


# --- h4b: modes left at equal J ---


def h4b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Entropy over modes after saturation, with the loss minus without, behind its gate; at equal J; half-life; text."""
    tables, gate = gates.split(tables)
    runs = having(tables.runs, FORK)
    on, off, _ = fork_arms(runs, EPOCHS[0])
    ratio = series(tables, on["spec"], "activity/positive_lm_grad_ratio").to_numpy(float)
    amount = float(np.nanmean(ratio)) if ratio.size else 0.0
    paths = Paths.of(tables, runs, SOLVED, ENTROPY)
    rows = _late(
        question,
        paths.apart(on, off, late(on)),
        len(set(on["seed"]) & set(off["seed"])),
        preset,
        amount >= question.floor.least,
    )
    rows = with_activity(rows, amount)
    rows += _half_life(tables, on, off, question, preset)
    for epochs in EPOCHS:
        arms = fork_arms(runs, epochs)
        beside = _beside(question, paths, arms, epochs, "1 epoch" if epochs == 1 else f"{epochs} epochs", preset)
        rows += with_lengths(beside, pd.concat(arms))
    rows = with_lengths(rows, pd.concat([on, off]))
    if len(runs):
        rows = with_lengths(gates.behind(rows, question, "walk", _gate(gate), preset), pd.concat(gate_arms(gate)))
    return rows + _text(tables, question, preset)


def _gate(tables: Tables) -> gates.Reading:
    """Entropy after saturation, the loss at a hundred times its weight minus none, of seeds that get there with both."""
    heavy, none = gate_arms(tables)
    theta = Paths.of(tables, pd.concat([heavy, none]), SOLVED, ENTROPY).apart(heavy, none, late(heavy))
    return gates.read(partial(student, theta), len(theta))


def gate_arms(tables: Tables) -> Arms:
    """Rows at the gate's weight of the loss, and without the loss."""
    runs = having(tables.runs, {**FORK, "settings.epochs": EPOCHS[0]})
    return having(runs, {**full_vapo(), "settings.mu": GATE_WEIGHT}), having(runs, full_vapo("positive_lm_loss"))


def _late(question: Question, theta: np.ndarray, pairs: int, preset: str, active: bool) -> list[Verdict]:
    """The primary row, from the seeds that get there in both arms; nothing is tested if too many of all do not."""
    if not pairs:
        return []
    enough = len(theta) >= REACHED * pairs
    row = verdict(question, "walk", theta, preset, active and enough)
    few = f"{len(theta)} of {pairs} seeds come {UPDATES} updates past J = {SATURATED:g} in both arms, fewer than {REACHED:.0%}"
    return [row if enough else row._replace(strata={**row.strata, NOTE: few})]


def fork_arms(runs: pd.DataFrame, epochs: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(with the loss, without, without and faster)."""
    part = having(runs, {"settings.epochs": epochs})
    plain = having(part, full_vapo("positive_lm_loss"))
    if not len(plain):
        return having(part, full_vapo()), plain, plain
    own = np.isclose(plain["settings.policy_lr"].to_numpy(float), plain["settings.policy_lr"].min(), rtol=1e-6)
    return having(part, full_vapo()), plain[own], plain[~own]


def _beside(
    question: Question, paths: "Paths", arms: tuple[pd.DataFrame, ...], epochs: int, label: str, preset: str
) -> list[Verdict]:
    """Secondary rows of the walk at a number of epochs."""
    loss, plain, fast = arms
    rows = []
    if epochs != EPOCHS[0]:
        what = Estimand(f"the same, {label}", equivalence=True)
        rows += secondary_row(question, "walk", paths.apart(loss, plain, late(loss)), preset, what)
    what = Estimand(f"the same, {label}, the arm without the loss 1.2 times as fast", equivalence=True)
    rows += secondary_row(question, "walk", paths.apart(loss, fast, late(loss)), preset, what)
    for height in (MATCHED, 0.5):
        what = Estimand(
            f"entropy at the moment of J = {height:g} with the loss minus without, {label}", equivalence=True
        )
        rows += secondary_row(question, "walk", paths.apart(loss, plain, at(height)), preset, what)
    return rows


def late(runs: pd.DataFrame) -> Place:
    """So many optimiser steps after J first reaches saturation, in RL steps of these runs."""
    if not len(runs):
        return at(SATURATED)
    each = float(runs["settings.epochs"].iloc[0]) * float(runs["settings.mini_batches"].iloc[0])
    return at(SATURATED, UPDATES / each)


class Paths(NamedTuple):
    """A metric along another one."""

    clock: pd.DataFrame
    """[N, steps], a row per run."""
    value: pd.DataFrame
    """[N, steps], the same steps."""

    @classmethod
    def of(cls, tables: Tables, runs: pd.DataFrame, clock: str, value: str) -> "Paths":
        """At the steps that have both."""
        times, values = (series(tables, runs["spec"], name) for name in (clock, value))
        shared = times.columns.intersection(values.columns)
        return cls(times[shared], values[shared])

    def apart(self, arm: pd.DataFrame, reference: pd.DataFrame, place: Place) -> np.ndarray:
        """[S] value at a place along the clock, arm minus reference; seeds that come there in both."""
        left, right = (
            pd.Series([self._read(spec, place) for spec in part["spec"]], index=part["seed"].to_numpy(), dtype=float)
            for part in (arm, reference)
        )
        return (left - right).dropna().to_numpy()

    def _read(self, spec: str, place: Place) -> float:
        steps, times, values = (
            x.to_numpy(float) for x in (self.clock.columns, self.clock.loc[spec], self.value.loc[spec])
        )
        known = ~(np.isnan(times) | np.isnan(values))
        where = place(steps[known], times[known])
        return float(np.interp(where, steps[known], values[known])) if np.isfinite(where) else float("nan")


def at(height: float, later: float = 0.0) -> Place:
    """So many steps after the clock first reaches a height; nan beyond the last step."""

    def place(steps: np.ndarray, times: np.ndarray) -> float:
        found = crossing(steps, times, height) + later
        return found if len(steps) and found <= steps.max() else float("nan")

    return place


def _half_life(tables: Tables, on: pd.DataFrame, off: pd.DataFrame, question: Question, preset: str) -> list[Verdict]:
    """Log ratio of entropy half-lives on fixed prefixes; runs that keep half to the end are censored there, maybe all."""
    on, off = (part[~np.isnan(at_step(tables, part["spec"], PREFIXES))] for part in (on, off))
    seeds = set(on["seed"]) & set(off["seed"])
    both = pd.concat([on[on["seed"].isin(seeds)], off[off["seed"].isin(seeds)]])
    if not len(both):
        return []
    seen = both["entropy_half_life"].notna().to_numpy()
    time = both["entropy_half_life"].fillna(both["steps"]).to_numpy(float).clip(min=1e-3)
    arm = both["positive_lm_loss"].to_numpy(bool)
    what = Estimand(
        "log ratio of half-lives of entropy on fixed prefixes, with the loss over without", "log ratio", 0.22, True
    )
    return [by_interval(question, "walk", lambda wide: median_ratio(time, seen, arm, both["seed"], wide), len(seeds),
                        preset, True, what)]  # fmt: skip


def _text(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Chance that two right answers differ in route, at accuracy 0.5."""
    runs = having(tables.runs, {"world": "lm", "task": "routes"})
    arms = having(runs, full_vapo()), having(runs, full_vapo("positive_lm_loss"))
    theta = Paths.of(tables, pd.concat(arms), "val/pass_at_1", "exploration/mode_diversity").apart(*arms, at(0.5))
    what = Estimand("chance that two right answers to a problem take different routes, at accuracy 0.5, with the loss minus"
                 " without", "probability", 0.05, True)  # fmt: skip
    return with_lengths(secondary_row(question, "tiny_lm", theta, preset, what), pd.concat(arms))


# --- pictures ---


def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
    """What there are rows for."""
    tables = gates.split(tables).judged
    arms = {"all three on": ALL, "all three off": NONE}
    drawings: dict[str, Drawing] = {}
    for name, runs, x in (
        ("escape", directions(trapped(tables)), "depth, nats (log-odds, guess over right)"),
        ("escape_text", directions(trapped_text(tables)), "depth, nats (log-odds of guessing)"),
    ):
        if runs["dose"].nunique() > 1:
            drawings[name] = exploration_figures.escape(runs, arms, x)
    forked = having(tables.runs, FORK)
    if len(forked):
        drawings["modes"] = exploration_figures.modes(tables, fork_arms(forked, EPOCHS[0]))
    mapped = having(tables.runs, {**RING, **ALL})
    if len(mapped) and mapped["dials.nearest"].nunique() > 1:
        cells = boundaries.cells(mapped, "dials.trap_prior", "dials.nearest")
        drawings["escape_map"] = boundaries.figure(
            cells, "nats for stopping early, each decision", "decisions of a right answer"
        )
    return drawings
