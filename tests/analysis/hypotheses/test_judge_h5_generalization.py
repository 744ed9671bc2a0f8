"""Judges of limitation 5 on planted data: both signs, floors, censored runs, and the controls that METHODS.md names."""

import numpy as np
import pytest

from analysis.hypotheses.h5_generalization import judge
from analysis.statistics.intervals import student
from analysis.verdict.decisions import CORRECTED
from experiments.studies.h5_generalization.questions import QUESTIONS
from tests.calibration import h5_generalization as planted
from tests.calibration.planting import frame, plant, tables
from tests.calibration.run import check

RNG = np.random.default_rng
CHAIN = {"world": "lm", "task": "chain", "dials.filler": 0, "dials.longest": 7, "steps": 30}
HAZARDS = {"world": "walk", "task": "walk", "dials.novel_hazards": 3, "steps": 30}


def h5a(given):
    return judge.h5a(given, QUESTIONS["h5a"], "full")


def h5b(given):
    return judge.h5b(given, QUESTIONS["h5b"], "full")


def primary(found):
    only = [row for row in found if row.primary]
    assert len(only) == 1
    return only[0]


def said(found, words: str, level: str = ""):
    only = [row for row in found if words in row.estimand and level in ("", row.level)]
    assert len(only) == 1, [row.estimand for row in found]
    return only[0]


# --- h5a ---


@pytest.mark.parametrize(
    ("theta", "expected"),
    [(0.3, "supported"), (0.0, "refuted_negligible"), (-0.3, "refuted_opposite"), (0.1, "undecided")],
)
def test_h5a_reads_what_was_planted(theta, expected):
    row = primary(h5a(planted.h5a(theta, RNG(0))))
    assert (row.decision, row.level, row.seeds) == (expected, "tiny_lm", 32)
    assert row.effect == pytest.approx(theta, abs=0.04)


def transfer(runs, splits, **numbers):
    """Numbers of the probe, alike at both ends."""
    return {f"value_transfer/{name}_{split}": {0: x, 30: x} for split in splits for name, x in numbers.items()}


TEXT = ("ood_operator", "ood_composition")


def test_h5a_by_hand():
    """Seeds 0 .. 3: 0.1 x seed on one split, 0.2 more on the other."""
    runs = frame({**CHAIN, "seed": s} for s in range(4))
    given = {
        **transfer(runs, TEXT[:1], excess=0.1 * runs["seed"], effective=0.8, excess_unmatched=0.9, gap_lost=0.3),
        **transfer(runs, TEXT[1:], excess=0.1 * runs["seed"] + 0.2, effective=0.5, excess_unmatched=0.7, gap_lost=0.1),
    }
    found = h5a(tables(runs, {}, given))
    row = primary(found)
    assert (row.effect, row.low, row.high) == pytest.approx(student(0.1 * np.arange(4) + 0.1, CORRECTED))
    assert said(found, "ood_composition alone").effect == pytest.approx(0.35)
    assert said(found, "without matching").effect == pytest.approx(0.8)
    assert said(found, "held-out problems minus out").effect == pytest.approx(0.2)
    assert said(found, "ranking degrades less").effect == pytest.approx(0.05)
    assert said(found, "ranking degrades less").unit == "share"


def test_h5a_is_not_tested_where_too_little_is_alike():
    """The smaller of two splits counts."""
    runs = frame({**CHAIN, "seed": s} for s in range(8))
    given = {**transfer(runs, TEXT, excess=0.5), **transfer(runs, TEXT[:1], effective=0.9),
             **transfer(runs, TEXT[1:], effective=0.1)}  # fmt: skip
    assert primary(h5a(tables(runs, {}, given))).decision == "not_tested"


def test_h5a_other_dials_are_other_rows():
    """Chains with filler and short chains never enter the question; they make rows of their own."""
    rows = [
        {**CHAIN, "seed": s, **dials} for s in range(5) for dials in ({}, {"dials.filler": 2}, {"dials.longest": 3})
    ]
    runs = frame(rows)
    filled, short = (runs["dials.filler"] == 2).to_numpy(), (runs["dials.longest"] == 3).to_numpy()
    excess = np.select([filled, short], [0.7, 9.0], 0.2)
    given = {
        **transfer(runs, TEXT, excess=excess, effective=0.8, fvu_inside=np.where(filled, 0.5, 0.4)),
        **transfer(runs, ["ood_length"], excess=np.where(short, 0.6, np.nan)),
    }
    found = h5a(tables(runs, {}, given))
    assert primary(found).effect == pytest.approx(0.2)
    assert said(found, "length and composition").effect == pytest.approx(0.5)
    assert said(found, "length alone").effect == pytest.approx(0.1)
    assert said(found, "four steps").effect == pytest.approx(0.6)


def test_h5a_on_the_walk_is_secondary_and_one_seed_undecided():
    runs = frame({**HAZARDS, "seed": s} for s in range(4))
    found = h5a(tables(runs, {}, transfer(runs, ["ood_hazard"], excess=0.4, effective=0.8)))
    assert [(row.level, row.primary, row.decision) for row in found] == [("walk", False, None)]
    one = frame([{**CHAIN, "seed": 0}])
    row = primary(h5a(tables(one, {}, transfer(one, TEXT, excess=0.4, effective=0.8))))
    assert (row.decision, row.seeds) == ("undecided", 1)
    assert h5a(tables(one)) == []


# --- h5b ---


@pytest.mark.parametrize(
    ("theta", "expected"),
    [(0.0, "supported"), (0.09, "refuted_opposite"), (-0.09, "refuted_opposite"), (0.03, "undecided")],
)
def test_h5b_reads_what_was_planted(theta, expected):
    row = primary(h5b(planted.h5b(theta, RNG(1))))
    assert (row.decision, row.level) == (expected, "tiny_lm")
    assert row.effect == pytest.approx(theta, abs=0.015)


def path(inside, outside, train=None, steps=(0, 10, 20, 30)):
    """Curves of one run; both splits alike."""
    curve = {name: dict(zip(steps, values, strict=True)) for name, values in (
        ("held_out", inside), ("ood_operator", outside), ("ood_composition", outside), ("train", train or inside),
    )}  # fmt: skip
    return {"curves": {f"generalization/accuracy_{name}": values for name, values in curve.items()}}


def test_h5b_two_arms_of_unequal_skill_on_one_curve_do_not_differ():
    """METHODS.md h5b's negative control: OOD = ID - 0.1 always; grpo learns twice as fast and ends 0.2 higher."""
    slow, fast, rng = np.array([0.3, 0.4, 0.5, 0.6]), np.array([0.3, 0.5, 0.7, 0.8]), RNG(0)
    rows = [
        {
            **CHAIN,
            "seed": s,
            "recipe": recipe,
            **path(inside + 0.01 * s, inside + 0.01 * s - 0.1 + 1e-4 * rng.normal(size=4)),
        }
        for s in range(4)
        for recipe, inside in (("vapo", slow), ("grpo", fast))
    ]
    found = h5b(plant(rows))
    assert primary(found).effect == pytest.approx(0, abs=1e-3)
    assert primary(found).decision == "supported"
    assert said(found, "after the last step").effect == pytest.approx(0, abs=1e-9)


def test_h5b_by_hand_at_the_first_crossing():
    """vapo reaches 0.5 half-way between the second and third measurement, at OOD 0.25; grpo at the second, at 0.2; a later
    fall and second crossing count for nothing."""
    rows = [
        {**CHAIN, "seed": s, "recipe": "vapo", **path([0.3, 0.4, 0.6, 0.6], [0.1, 0.2, 0.3, 0.9], [0.4, 0.5, 0.7, 0.9])}
        for s in range(3)
    ] + [
        {**CHAIN, "seed": s, "recipe": "grpo", **path([0.3, 0.5, 0.4, 0.7], [0.1, 0.2, 0.6, 0.9], [0.3, 0.5, 0.4, 0.7])}
        for s in range(3)
    ]
    found = h5b(plant(rows))
    assert primary(found).effect == pytest.approx(0.05)
    assert said(found, "at the same place").effect == pytest.approx(0.1)
    assert said(found, "after the last step").effect == pytest.approx(0.3)


def test_h5b_censored_runs_leave_the_pair_and_too_many_leave_nothing_tested():
    never, reaches, rng = [0.3, 0.4, 0.45, 0.48], [0.3, 0.4, 0.6, 0.7], RNG(0)

    def given(censored: int):
        return plant(
            {**CHAIN, "seed": s, "recipe": recipe,
             **path(never if recipe == "grpo" and s < censored else reaches, [0.1, 0.2, 0.3 + 0.002 * rng.normal(), 0.4])}
            for s in range(10)
            for recipe in ("vapo", "grpo")
        )  # fmt: skip

    few, many = h5b(given(2)), h5b(given(3))
    assert (primary(few).seeds, primary(few).decision) == (8, "supported")
    assert (primary(many).seeds, primary(many).decision) == (7, "not_tested")
    assert said(many, "none is censored").seeds == 10
    none = h5b(given(10))
    assert (primary(none).seeds, primary(none).decision) == (0, "not_tested")
    assert np.isnan(primary(none).effect)


def test_h5b_runs_that_start_above_are_not_compared_at_equal_skill():
    """grpo's first measurement is above 0.5 already: what it had out of distribution at 0.5 was not seen."""
    above, reaches, rng = [0.7, 0.75, 0.8, 0.85], [0.3, 0.4, 0.6, 0.7], RNG(0)
    found = h5b(plant(
        {**CHAIN, "seed": s, "recipe": recipe,
         **path(above if recipe == "grpo" and s < 3 else reaches, [0.1, 0.2, 0.3 + 0.002 * rng.normal(), 0.4])}
        for s in range(10)
        for recipe in ("vapo", "grpo")
    ))  # fmt: skip
    assert (primary(found).seeds, primary(found).decision) == (7, "not_tested")
    assert primary(found).effect == pytest.approx(0, abs=0.005)


def test_h5b_runs_with_two_measurements_cross_nowhere():
    """The core tables of preset quick measure at both ends alone, which says nothing of where 0.5 was crossed."""
    rows = [
        {**CHAIN, "seed": s, "recipe": recipe, **path([0.3, 0.7], [0.1, 0.5], steps=(0, 30))}
        for s in range(3)
        for recipe in ("vapo", "grpo")
    ]
    assert h5b(plant(rows)) == []


def test_h5b_the_walk_is_secondary():
    rows = [
        {**HAZARDS, "seed": s, "recipe": recipe, "curves": {
            "generalization/accuracy_held_out": {0: 0.5, 10: 0.7, 20: 0.9},
            "generalization/accuracy_train": {0: 0.5, 10: 0.7, 20: 0.9},
            "generalization/accuracy_ood_hazard": {0: 0.4, 10: 0.5, 20: 0.7 if recipe == "vapo" else 0.6},
        }}
        for s in range(3)
        for recipe in ("vapo", "grpo")
    ]  # fmt: skip
    found = h5b(plant(rows))
    assert {row.level for row in found} == {"walk"}
    assert found[0].effect == pytest.approx(0.05)
    assert found[0].decision is None


def test_h5b_one_seed_is_undecided():
    rows = [
        {**CHAIN, "seed": 0, "recipe": r, **path([0.3, 0.4, 0.6, 0.6], [0.1, 0.2, 0.3, 0.3])} for r in ("vapo", "grpo")
    ]
    assert primary(h5b(plant(rows))).decision == "undecided"
    assert h5b(plant(rows[:1])) == []


@pytest.mark.parametrize("question", ["h5a", "h5b"])
def test_calibration(question):
    check("h5_generalization", question, simulations=12)


# --- pictures ---


def test_figures_show_the_numbers_of_the_verdicts():
    given = planted.h5b(0.0, RNG(0))
    drawn = judge.figures(given, QUESTIONS)
    assert set(drawn) == {"accuracy_at_equal_skill"}
    shown = drawn["accuracy_at_equal_skill"].data
    assert set(shown["recipe"]) == {"vapo", "grpo", "dapo"}
    at = shown[np.isclose(shown["inside"], 0.5)].set_index("recipe")["mean"]
    assert at["vapo"] - at["grpo"] == pytest.approx(primary(h5b(given)).effect, abs=0.01)
    given = planted.h5a(0.2, RNG(0))
    drawn = judge.figures(given, QUESTIONS)
    assert set(drawn) == {"critic_out_of_distribution"}
    shown = drawn["critic_out_of_distribution"].data
    assert set(shown["where"]) == {"chain: operator", "chain: composition"}
    assert shown["mean"].mean() == pytest.approx(primary(h5a(given)).effect)
    assert judge.figures(tables(frame([{}])), QUESTIONS) == {}
