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
from tests.support.verdict_rows import primary, row_of

RNG = np.random.default_rng
CHAIN = {"world": "lm", "task": "chain", "dials.glimpse": 0.15, "dials.filler": 0, "dials.longest": 7, "steps": 30}
UNSEEN = {**CHAIN, "dials.glimpse": 0.0}
HAZARDS = {"world": "walk", "task": "walk", "dials.novel_hazards": 3, "steps": 30}


def h5a(given):
    return judge.h5a(given, QUESTIONS["h5a"], "full")


def h5b(given):
    return judge.h5b(given, QUESTIONS["h5b"], "full")


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


NOVEL = ("ood_composition",)


def test_h5a_by_hand():
    """Seeds 0 .. 3: 0.1 x seed before RL, 0.2 more after it; theta is the mean of both."""
    runs = frame({**UNSEEN, "seed": s} for s in range(4))
    given = transfer(runs, NOVEL, effective=0.8, fvu_inside=0.5, excess_unmatched=0.8, gap_lost=0.2)
    given["value_transfer/excess_ood_composition"] = {0: 0.1 * runs["seed"], 30: 0.1 * runs["seed"] + 0.2}
    found = h5a(tables(runs, {}, given))
    row = primary(found)
    assert (row.effect, row.low, row.high) == pytest.approx(student(0.1 * np.arange(4) + 0.1, CORRECTED))
    assert row_of(found, "the same before").effect == pytest.approx(0.15)
    assert row_of(found, "the same after").effect == pytest.approx(0.35)
    assert row_of(found, "without matching").effect == pytest.approx(0.8)
    assert row_of(found, "held-out problems minus out").effect == pytest.approx(0.2)
    assert row_of(found, "ranking degrades less").effect == pytest.approx(0.05)
    assert row_of(found, "ranking degrades less").unit == "share"


def test_h5a_is_not_tested_where_too_little_is_alike():
    runs = frame({**UNSEEN, "seed": s} for s in range(8))
    given = transfer(runs, NOVEL, excess=0.5 + 0.01 * runs["seed"], effective=0.1, fvu_inside=0.5)
    assert primary(h5a(tables(runs, {}, given))).decision == "not_tested"


@pytest.mark.parametrize(("inside", "expected"), [(0.9, "supported"), (1.1, "not_tested")])
def test_h5a_a_critic_that_knows_nothing_has_nothing_to_carry_over(inside, expected):
    """Worse than a constant where it was trained: what it loses elsewhere says nothing of generalisation."""
    runs = frame({**UNSEEN, "seed": s} for s in range(8))
    given = transfer(runs, NOVEL, excess=0.5 + 0.01 * runs["seed"], effective=0.9, fvu_inside=inside)
    assert primary(h5a(tables(runs, {}, given))).decision == expected


def test_h5a_what_pretraining_has_glimpsed_decides_nothing():
    """A base model that saw some of the shifted kinds: rows of their own, whatever they say."""
    runs = frame({**CHAIN, "seed": s} for s in range(8))
    given = transfer(runs, ("ood_operator", "ood_composition"), excess=0.5 + 0.01 * runs["seed"], effective=0.9)
    found = h5a(tables(runs, {}, given))
    assert [row.estimand.split()[2] for row in found] == ["ood_operator", "ood_composition"]
    assert not any(row.primary for row in found)


def test_h5a_other_dials_are_other_rows():
    """Chains with filler and short chains never enter the question; they make rows of their own."""
    cells = ({}, {"dials.filler": 2}, {"dials.longest": 3, "dials.glimpse": 0.15})
    runs = frame({**UNSEEN, "seed": s, **dials} for s in range(5) for dials in cells)
    filled, short = (runs["dials.filler"] == 2).to_numpy(), (runs["dials.longest"] == 3).to_numpy()
    excess = np.select([filled, short], [0.7, 9.0], 0.2)
    given = {
        **transfer(runs, NOVEL, excess=excess, effective=0.8, fvu_inside=np.where(filled, 0.5, 0.4)),
        **transfer(runs, ["ood_length"], excess=np.where(short, 0.6, np.nan)),
    }
    found = h5a(tables(runs, {}, given))
    assert primary(found).effect == pytest.approx(0.2)
    assert row_of(found, "length and composition").effect == pytest.approx(0.5)
    assert row_of(found, "length alone").effect == pytest.approx(0.1)
    assert row_of(found, "four steps").effect == pytest.approx(0.6)


def test_h5a_on_the_walk_is_secondary_and_one_seed_undecided():
    runs = frame({**HAZARDS, "seed": s} for s in range(4))
    found = h5a(tables(runs, {}, transfer(runs, ["ood_hazard"], excess=0.4, effective=0.8)))
    assert {(row.level, row.primary, row.decision) for row in found} == {("walk", False, None)}
    one = frame([{**UNSEEN, "seed": 0}])
    row = primary(h5a(tables(one, {}, transfer(one, NOVEL, excess=0.4, effective=0.8, fvu_inside=0.5))))
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


def path(inside, outside, more=0.1, steps=(0, 1, 2, 3)):
    """Curves of one run; both splits alike, training accuracy `more` above the held-out one."""
    curve = {name: dict(zip(steps, values, strict=True)) for name, values in (
        ("held_out", inside), ("ood_operator", outside), ("ood_composition", outside), ("train", np.add(inside, more)),
    )}  # fmt: skip
    return {"curves": {f"generalization/accuracy_{name}": values for name, values in curve.items()}}


def both(one, other, seeds=10, **more):
    """Rows of vapo and grpo; `one` and `other` give (inside, outside) by seed; accuracies outside differ by 1e-3 or so."""
    rng = RNG(0)
    for s in range(seeds):
        for recipe, of in (("vapo", one), ("grpo", other)):
            inside, outside = of(s)
            yield {**CHAIN, "seed": s, "recipe": recipe, **path(inside, np.add(outside, 1e-3 * rng.normal()), **more)}


def test_h5b_two_arms_of_unequal_skill_on_one_curve_do_not_differ():
    """METHODS.md h5b's negative control: OOD = ID - 0.1 always; grpo learns twice as fast and ends 0.2 higher."""
    slow, fast = np.array([0.3, 0.5, 0.6, 0.7]), np.array([0.3, 0.6, 0.7, 0.9])
    found = h5b(plant(both(lambda s: (slow, slow - 0.1), lambda s: (fast, fast - 0.1))))
    assert primary(found).effect == pytest.approx(0, abs=2e-3)
    assert primary(found).decision == "supported"
    assert "0.70" in primary(found).strata["note"]
    assert row_of(found, "after the last step").effect == pytest.approx(0, abs=1e-9)


def test_h5b_by_hand_at_the_first_crossing():
    """vapo reaches 0.65 half-way between the second and third measurement, at OOD 0.25; grpo at the second, at 0.2; 0.70 is
    reached by neither, and a later fall and second crossing count for nothing."""
    one, other = ([0.3, 0.6, 0.7 - 1e-9, 0.6], [0.1, 0.2, 0.3, 0.9]), ([0.3, 0.65, 0.5, 0.68], [0.1, 0.2, 0.6, 0.9])
    rows = [
        {**CHAIN, "seed": s, "recipe": recipe, **path(*arm, more)}
        for s in range(3)
        for recipe, arm, more in (("vapo", one, [0.1, 0.1, 0.1, 0.3]), ("grpo", other, 0.0))
    ]
    found = h5b(plant(rows))
    assert primary(found).effect == pytest.approx(0.05)
    assert row_of(found, "at the same place").effect == pytest.approx(0.1)
    assert row_of(found, "after the last step").effect == pytest.approx(0.3)
    assert row_of(found, "the same at held-out accuracy 0.60").effect == pytest.approx(0.2 - (0.1 + 0.1 * 0.3 / 0.35))


def test_h5b_is_compared_at_the_highest_accuracy_that_four_in_five_pairs_reach():
    """Three in ten pairs stop at 0.66: the rest alone get to 0.75, so 0.65 it is, and all ten count."""
    low, high = [0.3, 0.5, 0.6, 0.66], [0.3, 0.5, 0.7, 0.8]
    found = h5b(
        plant(both(lambda s: (low if s < 3 else high, [0.1, 0.2, 0.3, 0.4]), lambda s: (high, [0.1, 0.2, 0.3, 0.4])))
    )
    assert primary(found).seeds == 10
    assert "0.65" in primary(found).strata["note"]
    found = h5b(
        plant(both(lambda s: (low if s < 2 else high, [0.1, 0.2, 0.3, 0.4]), lambda s: (high, [0.1, 0.2, 0.3, 0.4])))
    )
    assert primary(found).seeds == 8
    assert "0.80" in primary(found).strata["note"]


def test_h5b_below_six_tenths_nothing_is_compared():
    """Both arms cross 0.50, on the common base's first steps; three in ten never come to 0.60."""
    never, reaches = [0.3, 0.5, 0.55, 0.58], [0.3, 0.5, 0.6, 0.62]
    outside = [0.1, 0.2, 0.3, 0.4]
    many = h5b(plant(both(lambda s: (reaches, outside), lambda s: (never if s < 3 else reaches, outside))))
    assert (primary(many).seeds, primary(many).decision) == (7, "not_tested")
    none = h5b(plant(both(lambda s: (reaches, outside), lambda s: (never, outside))))
    assert (primary(none).seeds, primary(none).decision) == (0, "not_tested")
    assert np.isnan(primary(none).effect)


def test_h5b_where_nobody_overfits_there_is_nothing_to_test():
    """Training accuracy 0.02 above the held-out one: equal accuracy out of distribution says nothing of overfitting."""
    curve = ([0.3, 0.5, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4])
    assert primary(h5b(plant(both(lambda s: curve, lambda s: curve, more=0.02)))).decision == "not_tested"
    assert primary(h5b(plant(both(lambda s: curve, lambda s: curve, more=0.06)))).decision == "supported"


def test_h5b_runs_that_start_above_are_not_compared_at_equal_skill():
    """grpo's first measurement is above 0.80 already: what it had out of distribution at 0.80 was not seen."""
    above, reaches, outside = [0.85, 0.85, 0.9, 0.9], [0.3, 0.5, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4]
    found = h5b(plant(both(lambda s: (reaches, outside), lambda s: (above if s < 3 else reaches, outside))))
    assert (primary(found).seeds, primary(found).decision) == (7, "not_tested")
    assert primary(found).effect == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("steps", [(0, 1), (0, 5, 10, 15)])
def test_h5b_runs_that_were_not_watched_cross_nowhere(steps):
    """Measured at both ends alone, or every five steps, as other studies' runs are: where they crossed was not seen."""
    inside, outside = [0.3, 0.5, 0.6, 0.7][: len(steps)], [0.1, 0.2, 0.3, 0.4][: len(steps)]
    assert h5b(plant(both(lambda s: (inside, outside), lambda s: (inside, outside), steps=steps))) == []


def test_h5b_the_walk_is_secondary():
    rows = [
        {**HAZARDS, "seed": s, "recipe": recipe, "curves": {
            "generalization/accuracy_held_out": {0: 0.5, 1: 0.7, 2: 0.9},
            "generalization/accuracy_train": {0: 0.5, 1: 0.7, 2: 0.9},
            "generalization/accuracy_ood_hazard": {0: 0.4, 1: 0.5, 2: 0.7 if recipe == "vapo" else 0.6},
        }}
        for s in range(3)
        for recipe in ("vapo", "grpo")
    ]  # fmt: skip
    found = h5b(plant(rows))
    assert {row.level for row in found} == {"walk"}
    assert found[0].effect == pytest.approx(0.1)
    assert row_of(found, "at held-out accuracy 0.80").effect == pytest.approx(0.05)
    assert found[0].decision is None


def test_h5b_one_seed_is_undecided():
    curve = ([0.3, 0.5, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4])
    rows = list(both(lambda s: curve, lambda s: curve, seeds=1))
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
    at = shown[np.isclose(shown["inside"], judge.heights_of(given)["lm"])].set_index("recipe")["mean"]
    assert at["vapo"] - at["grpo"] == pytest.approx(primary(h5b(given)).effect, abs=0.01)
    given = planted.h5a(0.2, RNG(0))
    drawn = judge.figures(given, QUESTIONS)
    assert set(drawn) == {"critic_out_of_distribution"}
    shown = drawn["critic_out_of_distribution"].data
    assert set(shown["where"]) == {"chain: composition"}
    assert shown["mean"].mean() == pytest.approx(primary(h5a(given)).effect)
    assert judge.figures(tables(frame([{}])), QUESTIONS) == {}
