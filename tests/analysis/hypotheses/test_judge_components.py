"""The component table on planted data: effects by pairs of seeds, activity and floors, order against the paper's."""

import numpy as np
import pytest

from analysis.hypotheses.components import judge
from analysis.hypotheses.components.tables import CONTRASTS, pairs, ranks, table
from analysis.tables import paper
from analysis.tables.schema import COMPONENTS, Tables
from experiments.studies.components import runs as study
from experiments.studies.components.questions import QUESTIONS
from tests.calibration.planting import frame_of, tables

RUNS = frame_of(study.specs("quick"))
GAIN = {name: 0.01 * (7 - number) for number, name in enumerate(COMPONENTS)}
ACTIVE = {f"activity_{name}": 10.0 for name in COMPONENTS}


def planted(gain: dict[str, float], noise: float = 0.0, **columns) -> Tables:
    """Every component adds its gain to a score of 0.5, on text half as much; those left out had nothing to do."""
    rng, score, activity = np.random.default_rng(0), np.full(len(RUNS), 0.5), dict(ACTIVE)
    scale = np.where(RUNS["world"] == "lm", 0.5, 1.0)
    for name, size in gain.items():
        on = RUNS[name].to_numpy(bool)
        score = score + scale * size * on
        activity[f"activity_{name}"] = np.where(on == (name in CONTRASTS), 0.0, 10.0)
    return tables(RUNS, {"auc": score + noise * rng.normal(size=len(RUNS)), **activity, **columns})


def test_effects_are_those_planted_at_both_levels():
    rows = judge.score(planted(GAIN, 0.001), QUESTIONS, "quick")
    assert [(row.question, row.level) for row in rows[:2]] == [
        ("value_pretraining", "walk"),
        ("value_pretraining", "tiny_lm"),
    ]
    for row in rows:
        size = GAIN[row.question] * (1.0 if row.level == "walk" else 0.5)
        assert row.effect == pytest.approx(size, abs=0.003)
        assert (row.primary, row.decision, row.seeds) == (False, None, {"walk": 10, "tiny_lm": 3}[row.level])
        assert row.estimand == QUESTIONS[row.question].estimand
        assert row.low < row.effect < row.high


def test_a_harmful_component_reads_negative():
    found = {row.question: row.effect for row in judge.score(planted({"clip_higher": -0.03}), QUESTIONS, "quick")}
    assert found["clip_higher"] < 0
    assert found["group_sampling"] == pytest.approx(0, abs=1e-12)


def test_idle_components_are_not_tested():
    """By level in full VAPO; value pretraining and group sampling by the difference that leaving them out makes."""
    low = {f"activity_{name}": 1e-6 for name in COMPONENTS}
    assert {row.decision for row in judge.score(planted({}, **low), QUESTIONS, "quick")} == {"not_tested"}
    same = {f"activity_{name}": 64.0 for name in COMPONENTS}  # high, and unchanged by leaving a component out
    rows = judge.score(planted({}, **same), QUESTIONS, "quick")
    assert {row.question for row in rows if row.decision == "not_tested"} == {"value_pretraining", "group_sampling"}
    assert rows[0].strata["activity"]["effect"] == 0


def test_a_critic_that_pretraining_made_worse_is_not_tested():
    """The floor is on what pretraining took off the error; as much added is no activity."""
    for sign, decision in ((1, None), (-1, "not_tested")):
        mse = 0.1 - sign * 0.05 * RUNS["value_pretraining"].to_numpy(float)
        rows = judge.score(planted({}, activity_value_pretraining=mse), QUESTIONS, "quick")
        assert {row.decision for row in rows if row.question == "value_pretraining"} == {decision}


def test_only_seeds_that_both_arms_have_on_every_task_count():
    given = planted(GAIN)
    lost = (
        (given.runs["arm"] == "vapo without clip_higher") & (given.runs["seed"] == 1) & (given.runs["task"] == "chain")
    )
    given = given._replace(runs=given.runs[~lost])
    assert list(pairs(given, "lm", "clip_higher").gain.index) == [0, 2]
    assert list(pairs(given, "lm", "group_sampling").gain.index) == [0, 1, 2]


def test_one_seed_and_none():
    given = planted(GAIN)
    lone = given._replace(runs=given.runs[(given.runs["seed"] == 0) & (given.runs["world"] == "walk")])
    rows = judge.score(lone, QUESTIONS, "quick")
    assert len(rows) == 7
    assert np.isnan([row.low for row in rows]).all()
    assert judge.score(given._replace(runs=given.runs[:0]), QUESTIONS, "quick") == []
    assert judge.figures(given._replace(runs=given.runs[:0]), QUESTIONS) == {}


def test_order_against_the_papers():
    """Planted in the paper's own order and in its reverse; tau over random orders of seven is 0.62 and less in 95 %."""
    lost = {name: -paper.difference(f"vapo without {name}") for name in COMPONENTS}
    for sign, tau in ((1, 1.0), (-1, -1.0)):
        found = ranks(table(planted({name: sign * 0.001 * x for name, x in lost.items()}), QUESTIONS)).set_index(
            "between"
        )
        assert found.loc["walk and paper", "tau"] == pytest.approx(tau)
        assert found.loc["walk and paper", "p"] < 0.01
        assert found.loc["walk and text", "tau"] == pytest.approx(1.0)
        assert 0.5 < found.loc["text and paper", "null_high"] < 0.75


def test_pictures_show_the_table():
    drawn = judge.figures(planted(GAIN, 0.01), QUESTIONS)
    assert list(drawn) == ["effects", "ranks"]
    data = drawn["effects"].data
    assert list(data["paper"][:7]) == [49, 27, 15, 7, 14, 6, 5]
    assert set(data["world"]) == {"walk", "lm"}


def test_full_has_the_factorial_too():
    runs = frame_of([spec for spec in study.specs("full") if spec.world == "walk" and spec.seed < 1004])
    on = runs["decoupled_gae"].to_numpy(bool)
    drawn = judge.figures(tables(runs, {"auc": 0.5 + 0.1 * on, **ACTIVE}), QUESTIONS)
    main = drawn["factorial"].data.set_index("effect")["auc"]
    assert main["decoupled_gae"] == pytest.approx(0.1)
    assert main["clip_higher"] == pytest.approx(0)
