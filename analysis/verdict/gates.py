"""Assay sensitivity: a question counts as tested only where its outcome responds to the mechanism that it asks about.

A gate sets the mechanism to both ends of its range (lambda 0 against 1, say) on seeds of its own and leaves the judged
contrast alone, so that looking at it, and choosing lengths and thresholds by it, says nothing of the answer. It is open where
the 95 % interval of what it moves lies wholly beyond `Gate.least`, on either side. Behind a closed gate the decision is
`not_tested`, whatever the judged interval says.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analysis.statistics.intervals import Interval, NoEstimate
from analysis.tables.schema import Tables
from analysis.verdict.decisions import NOTE, Verdict, from_interval
from analysis.verdict.questions import Gate, Level, Question

SEEDS = range(900, 1000)
"""Seeds of gates, used by no judged run: those are below 700 at presets smoke and quick, from 1000 on at full."""

LEVEL = 0.95
"""Of a gate's interval. A gate decides nothing of the answer, so it is no part of the sixteen intervals corrected for."""


class Reading(NamedTuple):
    """What a gate's own runs say."""

    interval: Interval
    """Of the difference in the question's unit; nan where there is none."""
    seeds: int
    """Independent replicates."""
    missing: str = ""
    """Why there is no number, if there is none."""

    def opens(self, gate: Gate) -> bool:
        """Whether the interval lies beyond `gate.least`, on either side; not without bounds."""
        return self.interval.low > gate.least or self.interval.high < -gate.least


class Split(NamedTuple):
    """Tables by what their runs are for; exact rows count as judged."""

    judged: Tables
    gate: Tables


def split(tables: Tables) -> Split:
    """Runs of gates apart from the judged ones, told by their seeds."""
    runs = tables.runs
    own = (runs["world"] != "exact").to_numpy() & runs["seed"].isin(SEEDS).to_numpy()
    return Split(tables._replace(runs=runs[~own]), tables._replace(runs=runs[own]))


def read(interval_at: Callable[[float], Interval], seeds: int) -> Reading:
    """A gate's reading.

    Args:
        interval_at: level in (0, 1) -> interval of what the manipulation moves; NoEstimate where that has no number.
        seeds: independent replicates; with fewer than two nothing is estimated.
    """
    nothing = Interval(np.nan, np.nan, np.nan)
    if seeds < 2:
        return Reading(nothing, seeds, "its runs have not been made")
    try:
        return Reading(interval_at(LEVEL), seeds)
    except NoEstimate as error:
        return Reading(nothing, seeds, f"no estimate: {error}")


def behind(rows: list[Verdict], question: Question, level: Level, reading: Reading, preset: str) -> list[Verdict]:
    """A question's rows behind its gate, with a secondary row for the gate itself.

    Args:
        rows: as judged; the primary ones become `not_tested` if the gate is closed, and say so with its figure.
        question: with a gate.
        level: whose runs the gate's are.
        reading: of the gate.
        preset: of the runs.

    Raises:
        ValueError: if the question declares no gate.
    """
    gate = question.gate
    if gate is None:
        raise ValueError(f"{question.id} declares no gate")
    remark = _remark(gate, question.unit, reading)
    own = from_interval(
        question._replace(threshold=gate.least), level, reading.interval, reading.seeds, preset, float("nan"), False,
        estimand=f"gate: {gate.manipulation}; {gate.cells}", strata={NOTE: remark},
    )  # fmt: skip
    shown = [own] if reading.seeds else []
    if reading.opens(gate):
        return [*rows, *shown]
    return [*(_untested(row, remark) if row.primary else row for row in rows), *shown]


def _untested(row: Verdict, remark: str) -> Verdict:
    """The row without a decision of its own; an earlier note stays beside the gate's."""
    note = "; ".join(filter(None, (remark, row.strata.get(NOTE, ""))))
    return row._replace(decision="not_tested", strata={**row.strata, NOTE: note})


def _remark(gate: Gate, unit: str, reading: Reading) -> str:
    """The gate in words with its figure."""
    if reading.missing:
        return f"gate closed, {reading.missing}: {gate.manipulation}"
    value, low, high = reading.interval
    state = "open" if reading.opens(gate) else "closed"
    return (
        f"gate {state}: {gate.manipulation} moves the outcome by {value:.2g} [{low:.2g}, {high:.2g}] {unit},"
        f" which must clear {gate.least:g}"
    )
