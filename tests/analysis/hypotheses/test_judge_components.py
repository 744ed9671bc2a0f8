"""The component study on planted data: effects over the declared grid, collapse, activity and floors, controls, the ratio."""

import numpy as np
import pandas as pd
import pytest

from analysis.hypotheses.components import complementarity, judge, picture
from analysis.hypotheses.components.cells import Cells
from analysis.hypotheses.components.tables import CONTRASTS, added, best_constant, pairs, ranks, same_prompts, table
from analysis.statistics.intervals import NoEstimate
from analysis.tables import paper, regimes
from analysis.tables.schema import COMPONENTS, Tables
from experiments.studies.components import runs as study
from experiments.studies.components.questions import QUESTIONS
from tests.calibration.planting import frame_of, tables
from vapo_core.settings import RECIPES

NOISY = regimes.NOISY
RUNS = frame_of([spec for spec in study.specs("quick") if spec.evaluation in study.EVALUATION.values()])
"""Without the default walk and text, which belong to other studies."""
GAIN = {name: 0.01 * (7 - number) for number, name in enumerate(COMPONENTS)}
ACTIVE = {f"activity_{name}": 10.0 for name in COMPONENTS}


def planted(gain: dict[str, float], noise: float = 0.0, runs=RUNS, **columns) -> Tables:
    """Every component adds its gain to a score of 0.5; those left out had nothing to do."""
    rng, score, activity = np.random.default_rng(0), np.full(len(runs), 0.5), dict(ACTIVE)
    for name, size in gain.items():
        on = runs[name].to_numpy(bool)
        score = score + size * on
        activity[f"activity_{name}"] = np.where(on == (name in CONTRASTS), 0.0, 10.0)
    return tables(runs, {"auc": score + noise * rng.normal(size=len(runs)), **activity, **columns})


def main(found, name="walk"):
    """The rows that estimate what their question asks."""
    return [row for row in found if row.level == name and row.estimand == QUESTIONS[row.question].estimand]


def test_effects_are_those_planted_with_their_lengths():
    rows = judge.score(planted(GAIN, 0.001, mean_length=64.0), QUESTIONS, "quick")
    assert [row.question for row in main(rows)] == list(COMPONENTS)
    for row in main(rows):
        assert row.effect == pytest.approx(GAIN[row.question], abs=0.004)
        assert (row.primary, row.decision, row.seeds, row.mean_length) == (False, None, 2, 64.0)
        assert row.low < row.effect < row.high
    assert all(np.isfinite(row.mean_length) for row in rows)


def test_the_mean_is_over_the_declared_grid_and_no_regime_is_chosen():
    """An effect at the longest answers alone is a third of that over three lengths, and stands alone beside it."""
    longest = (RUNS["dials.horizon"] == 256).to_numpy()
    auc = 0.5 + 0.3 * (longest & RUNS["clip_higher"].to_numpy(bool))
    found = judge.score(tables(RUNS, {"auc": auc, **ACTIVE}), QUESTIONS, "quick")
    (whole,) = [row for row in main(found) if row.question == "clip_higher"]
    assert whole.effect == pytest.approx(0.1)
    alone = {row.estimand: row.effect for row in found if row.question == "clip_higher"}
    assert alone["the same at about 128 decisions alone"] == pytest.approx(0.3)
    assert alone["the same at about 8 decisions alone"] == pytest.approx(0.0)


def test_a_failing_regime_is_shown_and_in_no_mean(monkeypatch):
    bad = regimes.GRID[1]._replace(name="found by search", settings={**regimes.GRID[1].settings, "critic_lr": 0.1})
    own = regimes.rows(RUNS, regimes.GRID[1]).assign(**{"settings.critic_lr": 0.1})
    own["spec"] = [f"f{n:015x}" for n in range(len(own))]
    both = pd.concat([RUNS, own], ignore_index=True)
    auc = 0.5 + 0.4 * (both["settings.critic_lr"] == 0.1) * both["decoupled_gae"].astype(float)
    monkeypatch.setattr(judge, "FAILING", (bad,))
    given = tables(both, {"auc": auc, **ACTIVE})
    cells = Cells(given.runs, (*regimes.GRID, bad))
    rows = judge.effect(cells, QUESTIONS["decoupled_gae"], "quick")
    found = {row.estimand: row.effect for row in rows}
    assert found["the same where PPO fails: found by search"] == pytest.approx(0.4)
    monkeypatch.setattr(picture, "FAILING", (bad,))
    shown = picture.worth(cells)
    assert set(shown["regimes"]) == {picture.ORDINARY, "found by search"}


def test_collapse_is_an_outcome_of_its_own():
    """J at the end below 0.1 without decoupled_gae and nowhere else: 1 minus 0, whatever the area says."""
    last = np.where(RUNS["arm"] == "vapo without decoupled_gae", 0.05, 0.8)
    found = judge.score(planted({}, last=last), QUESTIONS, "quick")
    shares = {row.question: row.effect for row in found if row.estimand.startswith("runs that end below")}
    assert shares["decoupled_gae"] == 1.0
    assert shares["clip_higher"] == 0.0


def test_a_harmful_component_reads_negative_and_none_reads_0():
    found = {row.question: row.effect for row in main(judge.score(planted({"clip_higher": -0.03}), QUESTIONS, "quick"))}
    assert found["clip_higher"] == pytest.approx(-0.03)
    assert found["group_sampling"] == pytest.approx(0, abs=1e-12)


def test_idle_components_are_not_tested():
    """By level in full VAPO; value pretraining and group sampling by the difference that leaving them out makes."""
    low = {f"activity_{name}": 1e-6 for name in COMPONENTS}
    assert {row.decision for row in main(judge.score(planted({}, **low), QUESTIONS, "quick"))} == {"not_tested"}
    same = {f"activity_{name}": 64.0 for name in COMPONENTS}  # high, and unchanged by leaving a component out
    rows = main(judge.score(planted({}, **same), QUESTIONS, "quick"))
    assert {row.question for row in rows if row.decision == "not_tested"} == {"value_pretraining", "group_sampling"}


def test_a_critic_that_pretraining_made_worse_is_not_tested():
    for sign, decision in ((1, None), (-1, "not_tested")):
        mse = 0.1 - sign * 0.05 * RUNS["value_pretraining"].to_numpy(float)
        rows = main(judge.score(planted({}, activity_value_pretraining=mse), QUESTIONS, "quick"))
        assert {row.decision for row in rows if row.question == "value_pretraining"} == {decision}


def test_only_seeds_that_both_arms_have_in_every_regime_count():
    given = planted(GAIN)
    lost = (given.runs["arm"] == "vapo without clip_higher") & (given.runs["seed"] == 1)
    lost &= given.runs["dials.horizon"] == 32
    given = given._replace(runs=given.runs[~lost])
    assert list(pairs(Cells(given.runs), NOISY, "clip_higher").gain.index) == [0]
    assert list(pairs(Cells(given.runs), NOISY, "group_sampling").gain.index) == [0, 1]


def test_added_alone_is_beside_ppo():
    """Gains that need each other: nothing alone, everything together."""
    together = RUNS[list(COMPONENTS)].to_numpy(bool).all(1)
    given = tables(RUNS, {"auc": 0.5 + 0.2 * together, **ACTIVE})
    assert added(Cells(given.runs), NOISY, "clip_higher").gain.to_numpy() == pytest.approx([0.0, 0.0])
    assert pairs(Cells(given.runs), NOISY, "clip_higher").gain.to_numpy() == pytest.approx([0.2, 0.2])


def test_the_best_constant_is_scored_on_the_seeds_that_did_not_choose_it():
    """Seed 0 likes 0.8, seed 1 likes 1: each is scored by the other's choice, so the rival looks worse, not better."""
    off = RUNS["arm"] == "vapo without length_adaptive_gae"
    liked = off & (RUNS["settings.fixed_lambda"] == np.where(RUNS["seed"] == 0, 0.8, 1.0))
    found = best_constant(Cells(tables(RUNS, {"auc": 0.5 + 0.1 * liked}).runs), NOISY, judge.CONSTANTS)
    assert found.to_numpy() == pytest.approx([0.0, 0.0])
    true = off & (RUNS["settings.fixed_lambda"] == 0.99)
    found = best_constant(Cells(tables(RUNS, {"auc": 0.5 + 0.1 * true}).runs), NOISY, judge.CONSTANTS)
    assert found.to_numpy() == pytest.approx([-0.1, -0.1])


def test_equal_prompts_are_another_pair_of_arms():
    small = RUNS["settings.pool_size"] == 16
    auc = 0.5 + np.where(small, 0.02, 0.3) * RUNS["group_sampling"].to_numpy(float)
    given = tables(RUNS, {"auc": auc, **ACTIVE})
    assert same_prompts(Cells(given.runs), NOISY).to_numpy() == pytest.approx([0.02, 0.02])
    assert pairs(Cells(given.runs), NOISY, "group_sampling").gain.to_numpy() == pytest.approx([0.3, 0.3])


# --- the complementarity ratio ---


@pytest.mark.parametrize(("power", "expected"), [(1.0, 1.0), (3.0, "above"), (0.3, "below")])
def test_the_ratio_tells_additive_from_complementary_from_redundant(power, expected):
    """Score = (share of components on) ** power: at 1 the seven losses add up to the gain."""
    on = RUNS[list(COMPONENTS)].to_numpy(float).mean(1)
    rng = np.random.default_rng(0)
    auc = 0.2 + 0.6 * on**power + 0.002 * rng.normal(size=len(RUNS))
    found = complementarity.ratio(Cells(tables(RUNS, {"auc": auc, **ACTIVE}).runs), NOISY)
    by_hand = 7 * (1 - (6 / 7) ** power)
    assert found.estimate == pytest.approx(by_hand, abs=0.1)
    assert expected == {True: "above", False: "below"}[by_hand > 1] or expected == pytest.approx(by_hand)


def test_a_gain_that_may_be_0_leaves_no_ratio():
    auc = 0.5 + 0.1 * np.random.default_rng(0).normal(size=len(RUNS))
    given = tables(RUNS, {"auc": auc, **ACTIVE})
    with pytest.raises(NoEstimate, match="not resolvable"):
        complementarity.ratio(Cells(given.runs), NOISY)
    notes = set(picture.worth(Cells(given.runs)).query("what == 'complementarity'")["note"])
    assert any("not resolvable" in note for note in notes)


def test_the_papers_ratio():
    assert pytest.approx(123 / 55) == complementarity.PAPER


# --- tables and pictures ---


def test_one_seed_and_none():
    lone = planted(GAIN)._replace(runs=RUNS[RUNS["seed"] == 0].assign(**ACTIVE))
    assert len(main(judge.score(lone, QUESTIONS, "quick"))) == 7
    nothing = lone._replace(runs=RUNS.iloc[:0])
    assert judge.score(nothing, QUESTIONS, "quick") == []
    assert judge.figures(nothing, QUESTIONS) == {}


def test_order_against_the_papers():
    lost = {name: -paper.difference(f"vapo without {name}") / 1000 for name in COMPONENTS}
    found = ranks(table(Cells(planted(lost).runs), QUESTIONS)).set_index("between")
    assert found.loc["walk and paper", "tau"] == pytest.approx(1.0)
    reverse = ranks(table(Cells(planted({name: -size for name, size in lost.items()}).runs), QUESTIONS)).set_index(
        "between"
    )
    assert reverse.loc["walk and paper", "tau"] == pytest.approx(-1.0)


def test_the_picture_has_every_length_both_ways_and_the_ratio():
    given = planted(GAIN, 0.001)
    shown = picture.worth(Cells(given.runs))
    walk = shown[(shown["world"] == "walk") & (shown["regimes"] == picture.ORDINARY)]
    assert set(walk["tokens"]) == {8, 32, 128}
    assert set(walk["what"]) == {picture.TAKEN, picture.ADDED, picture.RATIO}
    assert len(walk) == 3 * (2 * 7 + 1)
    drawings = judge.figures(given, QUESTIONS)
    assert {"length", "effects", "ranks"} <= set(drawings)
    assert list(drawings["length"].data.columns) == list(picture.COLUMNS)


def test_arms_are_those_of_the_recipes():
    assert {"ppo", "grpo", "dapo"} < set(RECIPES)
    assert set(RUNS["arm"]) >= {"vapo", "grpo", "dapo", "ppo with clip_higher", "vapo without group_sampling"}
