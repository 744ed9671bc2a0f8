"""Judges of h1a and h1b on planted data: both signs, floors, missing rows, and the controls that METHODS.md names."""

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
from vapo_core.oracles.truth import Truth, unexplained

RNG = np.random.default_rng


def h1a(given):
    return judge.h1a(given, QUESTIONS["h1a"], "full")


def h1b(given):
    return judge.h1b(given, QUESTIONS["h1b"], "full")


# --- h1a ---


@pytest.mark.parametrize(
    ("theta", "expected"),
    [(0.6, "supported"), (0.0, "refuted_negligible"), (-0.6, "refuted_opposite"), (0.2, "undecided")],
)
def test_h1a_reads_what_was_planted(theta, expected):
    found = h1a(planted.h1a(theta, RNG(0)))
    row = primary(found)
    assert (row.decision, row.level, row.seeds) == (expected, "tiny_lm", 32)
    assert row.effect == pytest.approx(theta, abs=0.1)
    by_task = [row_of(found, f"the same on {task} alone, after").effect for task in CELLS]
    assert np.mean(by_task) == pytest.approx(row.effect)
    assert all(not other.primary and other.decision is None for other in found if other is not row)


CELLS = {
    "text_walk": {"world": "lm", "task": "text_walk", "dials.size": 16},
    "chain": {"world": "lm", "task": "chain", "dials.glimpse": 0.15, "dials.longest": 7},
}


def uneven(size: int = 4):
    """Seeds 0 .. 3 on two tasks: behind 0.1 x seed on one, 0.1 x seed + 0.2 on the other, 0.04 higher at the end."""
    runs = frame({**CELLS[task], "seed": s, "steps": 30} for s in range(size) for task in CELLS)
    start = 0.1 * runs["seed"] + 0.2 * (runs["task"] == "chain")
    metrics = {
        "baseline_error/behind_train": {0: start, 30: start + 0.04},
        "approximation_floor/fvu_held_out": {0: 0.3, 30: 0.3},
    }
    return runs, metrics


def test_h1a_by_hand():
    """theta of a seed is the mean of two tasks after RL; the interval is Student's over seeds at 1 - 0.05/16."""
    runs, metrics = uneven()
    found = h1a(tables(runs, {}, metrics))
    expected = student(0.1 * np.arange(4) + 0.14, CORRECTED)
    assert (primary(found).effect, primary(found).low, primary(found).high) == pytest.approx(expected)
    assert row_of(found, "the same before").effect == pytest.approx(0.25)
    assert row_of(found, "chain alone, before").effect == pytest.approx(0.35)


def test_h1a_takes_seeds_that_have_both_tasks_and_both_ends():
    runs, metrics = uneven()
    behind = metrics["baseline_error/behind_train"]
    lacking = (runs["seed"] == 3) & (runs["task"] == "chain")
    behind[30] = behind[30].mask(lacking)
    row = primary(h1a(tables(runs, {}, metrics)))
    assert row.seeds == 3
    assert row.effect == pytest.approx(0.24)


@pytest.mark.parametrize("floor", [0.9, np.nan])
def test_h1a_is_not_tested_where_values_do_not_show_in_the_tokens(floor):
    """A floor that explains a tenth of Var(V), or none that was measured: the critic may have had nothing to learn."""
    runs, metrics = uneven()
    metrics["approximation_floor/fvu_held_out"] = {0: floor, 30: floor}
    assert primary(h1a(tables(runs, {}, metrics))).decision == "not_tested"


def test_h1a_a_floor_of_a_few_seeds_is_enough():
    runs, metrics = uneven()
    first = np.where(runs["seed"] == 0, 0.3, np.nan)
    metrics["approximation_floor/fvu_held_out"] = {0: first, 30: first}
    assert primary(h1a(tables(runs, {}, metrics))).decision != "not_tested"


def test_h1a_longer_walks_and_other_chains_are_other_rows():
    runs = frame(
        {**cell, "seed": s, "steps": 30}
        for s in range(4)
        for cell in (
            *CELLS.values(),
            {**CELLS["text_walk"], "dials.size": 26},
            {**CELLS["chain"], "dials.glimpse": 0.0},
        )
    )
    other = (runs["dials.size"] == 26) | (runs["dials.glimpse"] == 0.0)
    behind = np.where(other, 5.0, 0.2) + 0.01 * runs["seed"]
    found = h1a(tables(runs, {}, {"baseline_error/behind_train": {0: behind, 30: behind}}))
    assert primary(found).effect == pytest.approx(0.215)
    assert row_of(found, "long text walk alone, after").effect == pytest.approx(5.015)


def test_h1a_one_seed_is_undecided_and_no_rows_give_none():
    runs, metrics = uneven(1)
    row = primary(h1a(tables(runs, {}, metrics)))
    assert row.decision == "undecided"
    assert np.isnan([row.low, row.high]).all()
    assert h1a(tables(runs)) == []
    one_task = runs[runs["task"] == "chain"]
    given = tables(one_task, {}, {"baseline_error/behind_train": {0: 0.5, 30: 0.5}})
    assert {(row.primary, row.level) for row in h1a(given)} == {(False, "tiny_lm")}


def test_h1a_on_the_walk_alone_decides_nothing():
    runs = frame({"seed": s, "steps": 30} for s in range(8))
    quarters = {f"baseline_error/fvu_group_mean_q{q}": {0: 0.1 * q, 30: 0.1 * q} for q in range(1, 5)}
    quarters |= {f"baseline_error/fvu_q{q}": {0: 0.2, 30: 0.2} for q in range(1, 5)}
    given = tables(runs, {}, {"baseline_error/behind_train": {0: 0.5, 30: 0.3}, **quarters})
    found = h1a(given)
    assert {row.level for row in found} == {"walk"}
    assert not any(row.primary for row in found)
    assert row_of(found, "values exact, after").effect == pytest.approx(0.3)
    assert row_of(found, "in the first quarter").effect == pytest.approx(0.1)
    assert row_of(found, "in the last quarter").effect == pytest.approx(-0.2)


def test_h1a_refuses_two_runs_of_a_seed():
    runs = frame({**CELLS["text_walk"], "seed": 0, "steps": 30, "settings.alpha": alpha} for alpha in (0.5, 0.1))
    with pytest.raises(ValueError, match="two runs"):
        h1a(tables(runs, {}, {"baseline_error/behind_train": {0: 0.5, 30: 0.3}}))


def test_h1a_controls_of_the_estimate_itself():
    """METHODS.md h1a (5): V_mc plus a known error of 0.2 Var(V) reads 0.20; exact V with continuation noise alone reads 0."""
    rng, places = RNG(0), 400_000
    v = rng.beta(0.6, 1.2, places)
    seen = rng.binomial(16, v) / 16
    noise, label = seen * (1 - seen) / 15, np.arange(places)
    for size, expected in ((0.2 * v.var(), 0.20), (0.0, 0.0)):
        critic = v + size**0.5 * rng.choice([-1.0, 1.0], places)
        assert unexplained(Truth(label, label, label + 1, critic, seen, noise)) == pytest.approx(expected, abs=0.01)


def test_calibration():
    check("h1_value_fidelity", "h1a", simulations=8)


# --- h1b, learned levels ---


def doses(world: str, fall, sds=(0.0, 0.1, 0.2), seeds: int = 6, lam: float = 0.95, kind: str = "state", **more):
    """AUC 0.6 + 0.01 seed, lower by fall(sd)."""
    off = {"length_adaptive_gae": False, "world": world, "task": {"walk": "walk", "lm": "text_walk"}[world]}
    rows = [
        {**off, "seed": s, "settings.value_error_sd": sd, "settings.fixed_lambda": lam, "auc": 0.6 + 0.01 * s - fall(sd),
         "variants": f"values={kind}_error" if sd else "", **more}
        for s in range(seeds)
        for sd in sds
    ]  # fmt: skip
    return rows


def test_h1b_reads_slopes_by_world_lambda_and_length():
    rows = [
        *doses("walk", lambda sd: 0.5 * sd, **{"dials.fixed_length": False, "dials.horizon": 20}),
        *doses("walk", lambda sd: 0.2 * sd, **{"dials.fixed_length": True, "dials.horizon": 20}),
        *doses("walk", lambda sd: 0.0, (0.0, 0.2), lam=1.0, **{"dials.fixed_length": False, "dials.horizon": 20}),
        *doses("lm", lambda sd: 0.1 * sd, (0.0, 0.2)),
    ]
    found = h1b(tables(frame(rows)))
    assert row_of(found, "lambda 0.95, responses of lengths that vary", "walk").effect == pytest.approx(0.05)
    assert row_of(found, "lambda 0.95, responses of one length", "walk").effect == pytest.approx(0.02)
    assert row_of(found, "lambda 1,", "walk").effect == pytest.approx(0.0, abs=1e-9)
    assert row_of(found, "a frozen error by state", "tiny_lm").effect == pytest.approx(0.01)
    assert {(row.unit, row.threshold, row.primary, row.decision) for row in found} == {("AUC", 0.02, False, None)}


def test_h1b_compares_with_the_plain_run_of_the_same_lambda_length_and_kind_alone():
    """Plain runs of another horizon or lambda, ten times as good, are no reference."""
    own = {"dials.fixed_length": False, "dials.horizon": 20}
    rows = [
        *doses("walk", lambda sd: -5.0, (0.0,), **{**own, "dials.horizon": 48}),
        *doses("walk", lambda sd: -5.0, (0.0,), lam=0.5, **own),
        *doses("walk", lambda sd: 0.3 * sd, (0.0, 0.2), **own),
        *(row for row in doses("walk", lambda sd: 0.1 * sd, (0.0, 0.2), kind="fresh", **own) if row["variants"]),
    ]
    found = h1b(tables(frame(rows)))
    assert len(found) == 2
    assert row_of(found, "frozen error by state").effect == pytest.approx(0.03)
    assert row_of(found, "drawn afresh").effect == pytest.approx(0.01)


def test_h1b_takes_seeds_that_have_every_dose():
    rows = doses("lm", lambda sd: 0.1 * sd)
    found = h1b(tables(frame(row for row in rows if not (row["seed"] == 0 and row["settings.value_error_sd"] == 0.1))))
    assert row_of(found, "state", "tiny_lm").seeds == 5
    assert h1b(tables(frame(row for row in rows if not row["variants"]))) == []


# --- pictures ---


def test_figure_of_doses_and_of_quarters():
    rows = doses("walk", lambda sd: 0.5 * sd, **{"dials.fixed_length": False, "dials.horizon": 20})
    drawings = judge.figures(tables(frame(rows)), QUESTIONS)
    shown = drawings["planted_errors"].data.set_index("sd")["mean"]
    assert shown.loc[0.2] == pytest.approx(-0.1)
    runs = frame({"seed": s, "steps": 30} for s in range(4))
    metrics = ("baseline_error/fvu", "baseline_error/fvu_group_mean", "approximation_floor/fvu")
    quarters = {f"{n}_q{q}": {0: 0.1 * q * i, 30: 0.1 * q * i} for q in range(1, 5) for i, n in enumerate(metrics, 1)}
    drawings = judge.figures(tables(runs, {}, quarters), QUESTIONS)["error_by_quarter"]
    for factor, what in enumerate(("critic", "mean of other answers", "approximation floor"), 1):
        shown = drawings.data[drawings.data["what"] == what].set_index("quarter")["mean"]
        assert shown.tolist() == pytest.approx([0.1 * factor * q for q in range(1, 5)])
    assert len(drawings.alt) > 40
