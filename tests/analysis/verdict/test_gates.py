"""Gates: planted readings on both sides of what must be cleared, and what a closed gate does to a decision."""

import json
from functools import partial

import numpy as np
import pytest

from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.verdict import gates, outcomes, verdicts
from analysis.verdict.decisions import NOTE, verdict
from analysis.verdict.questions import Floor, Gate, Question
from tests.calibration.planting import frame, tables

GATE = Gate("lambda 0 minus lambda 1", "three lengths", 0.15)
ASKED = Question(
    "h9a", "Is it?", "what is", "exponent", "no difference", 0.15, "walk", (), Floor("share", 0.1), True, GATE, "theta"
)
SMALL = np.linspace(-0.05, 0.05, 24)
"""Thetas that support a prediction of no difference."""


def judged(moved, spread=0.1, seeds=12):
    """A question's rows behind a gate whose manipulation moves the outcome by `moved`."""
    theta = moved + spread * np.linspace(-1, 1, seeds)
    reading = gates.read(partial(student, theta), len(theta))
    return gates.behind([verdict(ASKED, "walk", SMALL, "full")], ASKED, "walk", reading, "full")


@pytest.mark.parametrize(
    ("moved", "decision"),
    [(0.6, "supported"), (-0.6, "supported"), (0.13, "not_tested"), (-0.13, "not_tested"), (0.0, "not_tested")],
)
def test_an_insensitive_assay_decides_nothing(moved, decision):
    """Twelve seeds within 0.1: 0.6 clears 0.15 on either side, 0.13 does not, and a small effect then means nothing."""
    primary, own = judged(moved)
    assert primary.decision == decision
    assert (own.primary, own.decision, own.effect) == (False, None, pytest.approx(moved))
    assert ("closed" in own.strata[NOTE]) == (decision == "not_tested")
    assert (NOTE in primary.strata) == (decision == "not_tested")


def test_the_interval_must_clear_not_the_estimate():
    """A mean of 0.3 from seeds that differ by 1 is compatible with a mechanism that does nothing."""
    assert judged(0.3, spread=1.0)[0].decision == "not_tested"
    assert judged(0.3, spread=0.1)[0].decision == "supported"


def test_the_row_says_so_with_the_figure():
    primary = judged(0.13)[0]
    assert primary.strata[NOTE].startswith("gate closed: lambda 0 minus lambda 1 moves the outcome by 0.13 [0.0")
    assert primary.strata[NOTE].endswith("exponent, which must clear 0.15")
    assert primary.effect == pytest.approx(0)  # the estimate stays in sight


def test_a_gate_that_was_not_run_or_has_no_number_is_closed():
    nothing = gates.read(partial(student, np.empty(0)), 0)
    rows = gates.behind([verdict(ASKED, "walk", SMALL, "full")], ASKED, "walk", nothing, "full")
    assert [row.decision for row in rows] == ["not_tested"]
    assert "have not been made" in rows[0].strata[NOTE]

    def fails(level):
        raise NoEstimate("no run got there")

    rows = gates.behind([verdict(ASKED, "walk", SMALL, "full")], ASKED, "walk", gates.read(fails, 12), "full")
    assert rows[0].decision == "not_tested"
    assert "no run got there" in rows[0].strata[NOTE]


def test_secondary_rows_pass_a_closed_gate_and_a_question_needs_one():
    closed = gates.Reading(Interval(0.0, -0.1, 0.1), 12)
    beside = verdict(ASKED, "walk", SMALL, "full", estimand="something else")
    assert gates.behind([beside], ASKED, "walk", closed, "full")[0] == beside
    with pytest.raises(ValueError, match="h9a declares no gate"):
        gates.behind([], ASKED._replace(gate=None), "walk", closed, "full")


def test_runs_are_told_apart_by_their_seeds():
    """Rows of the exact level count instances, which are no seeds of runs."""
    runs = frame([{"seed": seed} for seed in (0, 899, 900, 999, 1000)] + [{"world": "exact", "seed": 950}])
    found = gates.split(tables(runs))
    assert found.gate.runs["seed"].tolist() == [900, 999]
    assert found.judged.runs["seed"].tolist() == [0, 899, 1000, 950]


def test_gates_survive_the_outcome_folder(tmp_path):
    """A question with a gate is read as it was declared; notes from before there were gates have none."""
    kept = json.loads(json.dumps(ASKED._asdict()))
    assert outcomes._question(kept) == ASKED
    older = {name: value for name, value in kept.items() if name not in ("gate", "definition")}
    assert outcomes._question(older) == ASKED._replace(gate=None, definition="")
    path = tmp_path / "verdicts.json"
    path.write_text(verdicts.as_json(judged(0.13)))
    assert [row.decision for row in verdicts.read(path)] == ["not_tested", None]
