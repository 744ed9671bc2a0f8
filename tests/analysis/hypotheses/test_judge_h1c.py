"""The judge of h1c on planted data: both signs, floors, missing rows, and the controls that METHODS.md names."""

import numpy as np
import pytest

from analysis.hypotheses.h1_value_fidelity import judge
from analysis.statistics.intervals import student
from analysis.verdict.decisions import CORRECTED
from experiments.studies.h1_value_fidelity.questions import QUESTIONS
from tests.calibration import h1_value_fidelity as planted
from tests.calibration.planting import frame, tables
from tests.calibration.run import check
from tests.support.verdict_rows import primary, row_of

RNG = np.random.default_rng


def h1c(given):
    return judge.h1c(given, QUESTIONS["h1c"], "full")


@pytest.mark.parametrize(
    ("theta", "expected"),
    [(0.3, "supported"), (0.0, "refuted_negligible"), (-0.3, "refuted_opposite"), (0.1, "undecided")],
)
def test_h1c_reads_what_was_planted(theta, expected):
    found = h1c(planted.h1c(theta, RNG(0)))
    row = primary(found)
    assert (row.decision, row.level, row.seeds) == (expected, "walk", 64)
    assert row.effect == pytest.approx(theta, abs=0.06)
    assert row_of(found, "frozen policy").effect == pytest.approx(0, abs=0.02)


def twins(plain: float, twin: float, frequent: float = 0.2, start: float = 0.4, shift: float = 3.0, known: float = 0.2,
          seeds: int = 6, rehearsed_frequent: float = 0.2, variance: float = 0.1):  # fmt: skip
    """E_rare from `start` to `plain` or, rehearsed, `twin`, give or take a seed's own 0.01; Var(V) from 0.1 to `variance`."""
    runs = frame(
        {"seed": s, "steps": 60, "variants": variants} for s in range(seeds) for variants in ("", "rehearsal=rare")
    )
    jitter = 0.01 * (runs["seed"] - 2.5) * (runs["variants"] == "")
    after = np.where(runs["variants"] == "", plain, twin) + jitter
    return tables(
        runs,
        {},
        {
            "forgetting/fvu_rare_kept": {0: start, 60: after},
            "forgetting/fvu_frequent": {0: 0.2, 60: np.where(runs["variants"] == "", frequent, rehearsed_frequent)},
            "forgetting/fvu_rare": {0: start},
            "forgetting/fvu_position_rare": {0: start + known},
            "forgetting/var_v": {0: 0.1, 60: variance},
            "forgetting/shift": {0: 0.0, 60: shift},
        },
    )


def test_h1c_overwritten_places_are_forgetting():
    """METHODS.md h1c's positive control: the twin keeps 0.4, the plain critic ends at 0.7."""
    found = h1c(twins(plain=0.7, twin=0.4))
    assert primary(found).decision == "supported"
    assert primary(found).effect == pytest.approx(0.3)
    assert row_of(found, "no twin taken off").effect == pytest.approx(0.3)
    assert row_of(found, "own E_rare").effect == pytest.approx(0.3)


def test_h1c_a_twin_that_learns_more_is_not_forgetting():
    """Rare error falls from 0.70 to 0.45 while the twin's falls to 0.20: nothing known was lost."""
    found = h1c(twins(plain=0.45, twin=0.20, start=0.70))
    assert row_of(found, "beyond the twin's").effect == pytest.approx(0.25)
    assert primary(found).effect == pytest.approx(-0.25)
    assert primary(found).decision == "refuted_opposite"


def test_h1c_a_twin_that_loses_as_much_is_not_interference():
    """Rare error doubles whether or not rare places are rehearsed; or grows by more in the twin."""
    assert primary(h1c(twins(plain=0.8, twin=0.8))).decision == "refuted_negligible"
    assert primary(h1c(twins(plain=0.7, twin=1.0))).decision == "refuted_opposite"


def test_h1c_an_error_that_stands_still_while_values_draw_together_is_not_forgotten():
    """Var(V) halves, so the same squared error is twice the share of it; the twin's falls: 0.3 beyond it, none of its own."""
    found = h1c(twins(plain=0.8, twin=0.5, variance=0.05))
    assert row_of(found, "beyond the twin's").effect == pytest.approx(0.3)
    assert row_of(found, "own E_rare").effect == pytest.approx(0.0, abs=1e-9)
    assert primary(found).decision == "refuted_negligible"


def test_h1c_bounds_are_the_smallest_of_both_parts():
    """By hand: the lower at 1 - 0.05/16, the upper at half that error, since either part may miss it."""
    one, other = np.array([0.3, 0.5, 0.4, 0.6]), np.array([0.1, 0.9, 0.5, 0.7])
    found = judge.smaller_of([one, other], CORRECTED)
    assert found.estimate == pytest.approx(0.45)
    assert found.low == pytest.approx(student(other, CORRECTED).low)
    assert found.high == pytest.approx(student(one, 1 - 0.025 / 16).high)


def test_h1c_a_critic_bad_from_the_start_has_forgotten_nothing():
    """METHODS.md h1c's negative control: E_rare stays where it was, 1.0, in both."""
    row = primary(h1c(twins(plain=1.0, twin=1.0, start=1.0)))
    assert row.decision == "refuted_negligible"
    assert row.effect == pytest.approx(0.0)


def test_h1c_errors_that_rise_everywhere_are_not_forgetting():
    """The plain critic gets worse by 0.5 everywhere, the twin nowhere; or both do, as when the scale of V drifts."""
    for twin, rehearsed_frequent in ((0.4, 0.2), (0.9, 0.7)):
        given = twins(plain=0.9, twin=twin, frequent=0.7, rehearsed_frequent=rehearsed_frequent)
        assert primary(h1c(given)).decision == "refuted_negligible"


@pytest.mark.parametrize("more", [{"shift": 0.1}, {"known": -0.1}])
def test_h1c_floor(more):
    """A policy that hardly moved, or rare places that were never known, test nothing."""
    assert primary(h1c(twins(plain=0.7, twin=0.4, **more))).decision == "not_tested"


def test_h1c_needs_twins():
    given = twins(plain=0.7, twin=0.4)
    alone = given._replace(runs=given.runs[given.runs["variants"] == ""])
    assert h1c(alone) == []
    one = given._replace(runs=given.runs[given.runs["seed"] == 0])
    assert primary(h1c(one)).decision == "undecided"


def test_h1c_slope_per_nat():
    """D = 0.05 per nat at every rate: the slope is that, the verdict's D that of the policy's own rate."""
    given = planted.h1c(0.3, RNG(3))
    found = h1c(given)
    assert row_of(found, "slope of the growth").effect > 0.03
    assert row_of(found, "slope of the growth").unit == "share/nat"


def test_calibration():
    check("h1_value_fidelity", "h1c", simulations=8)


# --- pictures ---


def test_figures_show_what_there_are_rows_for():
    given = planted.h1c(0.2, RNG(0))
    drawings = judge.figures(given, QUESTIONS)
    assert set(drawings) == {"forgetting"}
    shown = drawings["forgetting"].data
    assert set(shown["what"]) == {"rare", "frequent", "rare, rehearsed", "frequent, rehearsed", "D"}
    own = shown[(shown["what"] == "D") & (shown["rate"] == 1)]
    assert float(own["mean"].iloc[0]) == pytest.approx(row_of(h1c(given), "E_frequent beyond the twin's").effect)
