"""Judges of limitation 6 on planted data: both signs, floors, missing rows, scales, and the controls that METHODS.md names."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.ablations.factorial import contrast
from analysis.hypotheses.h6_interactions import judge
from analysis.hypotheses.h6_interactions.tables import Updates, share_interval, shortfall
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict.decisions import Verdict
from experiments.studies import core
from experiments.studies.h6_interactions import runs as study
from experiments.studies.h6_interactions.questions import QUESTIONS
from tests.calibration import h6_interactions as planted
from tests.calibration.planting import frame_of, tables
from tests.calibration.run import check

SIMULATED = {"h6a": planted.simulate_h6a, "h6b": planted.simulate_h6b}
JUDGES = {"h6a": judge.h6a, "h6b": judge.h6b}


def judged(question: str, given: Tables) -> list[Verdict]:
    return JUDGES[question](given, QUESTIONS[question], "full")


def primary(question: str, given: Tables) -> Verdict:
    (only,) = [v for v in judged(question, given) if v.primary]
    return only


def secondary(question: str, given: Tables) -> dict[str, Verdict]:
    return {v.estimand: v for v in judged(question, given) if not v.primary}


def simulated(question: str, theta: float, seed: int = 0, **more: float) -> Tables:
    return SIMULATED[question](theta, np.random.default_rng(seed), **more)


def keep(given: Tables, rows) -> Tables:
    return given._replace(runs=given.runs[np.asarray(rows)])


@pytest.mark.parametrize("question", list(JUDGES))
def test_claims_hold_in_a_few_simulations(question):
    check("h6_interactions", question, 12)


@pytest.mark.parametrize("question", list(JUDGES))
def test_one_seed_has_no_bounds_and_no_rows_no_verdict(question):
    given = simulated(question, 0.1)
    lone = primary(question, keep(given, given.runs["seed"] == 1000))
    assert (lone.decision, lone.seeds) == ("undecided", 1)
    assert judged(question, keep(given, given.runs["seed"] < 0)) == []


# --- h6a ---


@pytest.mark.parametrize(("share", "decision"), [(0.1, "supported"), (0.0, "refuted_negligible"), (0.05, "undecided")])
def test_h6a_controls(share, decision):
    """Updates turned downward in a tenth of cases; a tiny step along the exact gradient, which always rises."""
    found = primary("h6a", simulated("h6a", share))
    assert found.decision == decision
    assert found.effect == pytest.approx(share, abs=0.05)


def test_h6a_without_any_fall_still_has_a_width():
    found = primary("h6a", simulated("h6a", 0.0))
    assert (found.effect, found.low) == (0, 0)
    assert 0 < found.high < 0.01


def test_h6a_counts_nothing_where_updates_do_not_move():
    given = simulated("h6a", 0.2)
    still = (given.curves["metric"] == "large_update/tv").to_numpy()
    curves = given.curves.assign(value=np.where(still, 1e-5, given.curves["value"]))
    assert primary("h6a", given._replace(curves=curves)).decision == "not_tested"


def test_changes_within_the_arithmetic_are_no_falls():
    given = simulated("h6a", 0.2)
    value = given.curves["value"].to_numpy()
    changes = (given.curves["metric"] == "large_update/delta_j").to_numpy()
    tiny = given.curves.assign(value=np.where(changes, -5e-7 * np.sign(np.abs(value)), value))
    assert primary("h6a", given._replace(curves=tiny)).effect == 0


def test_share_interval_is_the_wider_of_two():
    seed = np.repeat(np.arange(10), 20)
    lumped, spread = seed < 2, np.arange(200) % 5 == 0
    mean, low, high = share_interval(seed, lumped, 0.95)
    student_half = stats.t.ppf(0.975, 9) * np.std([1, 1, *[0] * 8], ddof=1) / np.sqrt(10)
    assert (mean, low, high) == pytest.approx((0.2, 0.2 - student_half, 0.2 + student_half))
    exact = stats.binomtest(40, 200).proportion_ci(0.95)
    assert share_interval(seed, spread, 0.95)[1:] == pytest.approx((exact.low, exact.high))


def updates_of(**given) -> Updates:
    size = len(next(iter(given.values())))
    blank = dict.fromkeys(Updates._fields, np.zeros(size))
    return Updates(**{**blank, **given})


def test_slope_takes_the_noise_of_the_promise_out():
    """Delta J is 0.7 of what was promised; the promise is read with noise as large as itself."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=20_000)
    updates = updates_of(delta_j=0.7 * true, seed=np.zeros(20_000))
    read = true + rng.normal(size=20_000)
    assert shortfall(updates, read, np.ones(20_000)).to_numpy() == pytest.approx([0.3], abs=0.03)
    assert shortfall(updates, read).to_numpy() == pytest.approx([0.65], abs=0.03)
    assert shortfall(updates, true).to_numpy() == pytest.approx([0.3])


def test_h6a_says_where_sampled_updates_fall_and_what_noise_alone_gives():
    rows = secondary("h6a", simulated("h6a", 0.1))
    assert rows["share of sampled updates that lower J"].effect == pytest.approx(0.2)
    assert rows["what Phi(-signal / noise) gives for sampled updates"].effect == pytest.approx(stats.norm.cdf(-1))
    late = rows["the same among updates from a J above 0.95"]
    assert late.effect > 0.12
    assert {row.decision for row in rows.values()} == {None}


def test_h6a_on_text_divides_sums_of_gain_and_promise():
    runs = frame_of(
        [core.run("lm", "full", seed, task=task) for task in core.TASKS["lm"] for seed in range(1000, 1016)]
    )
    rng = np.random.default_rng(0)
    promise = {step: np.full(len(runs), 0.02) for step in (0, 15, 30)}
    gain = {step: 0.6 * x + 0.003 * rng.normal(size=len(runs)) for step, x in promise.items()}
    (row,) = judged("h6a", tables(runs, {}, {"improvement/delta_j": gain, "improvement/predicted": promise}))
    assert (row.level, row.primary, row.seeds) == ("tiny_lm", False, 16)
    assert row.effect == pytest.approx(0.4, abs=0.03)
    assert row.low < 0.4 < row.high


# --- h6b ---


@pytest.mark.parametrize(("size", "decision"), [(3, "supported"), (0, "refuted_negligible"), (-3, "refuted_opposite")])
def test_h6b_controls(size, decision):
    found = primary("h6b", simulated("h6b", size * 0.02))
    assert found.decision == decision
    assert found.effect == pytest.approx(size * 0.02, abs=0.01)
    assert found.seeds == 32


def test_h6b_needs_a_bias_that_pretraining_takes_away():
    given = simulated("h6b", 0.06)
    idle = given._replace(runs=given.runs.assign(activity_value_pretraining=0.2))
    assert primary("h6b", idle).decision == "not_tested"


@dataclass
class Scaled:
    """Scores additive on log-odds near a ceiling."""

    height: float
    pair: float

    def tables(self) -> Tables:
        rng, points = np.random.default_rng(0), planted.POINTS
        odds = self.height + points[:, 0] + points[:, 1] + self.pair * contrast(points, "AB")
        auc = 1 / (1 + np.exp(-odds - 0.1 * rng.normal(size=len(points))))
        start = np.where(points[:, 0] > 0, 0.05, 0.9)
        return tables(planted.BIASED, {"auc": auc, "activity_value_pretraining": start})


def test_ceilings_make_interactions_and_the_log_odds_tell():
    """Control: additive on log-odds at a mean near 1 interacts on AUC; with the opposite sign there, it is conditional."""
    ceiling = primary("h6b", Scaled(3.0, 0.0).tables())
    assert ceiling.effect > 0.02
    assert abs(ceiling.strata["log-odds"]["effect"]) < 0.05
    turned = primary("h6b", Scaled(3.0, 0.1).tables())
    assert (turned.effect > 0.02, turned.strata["log-odds"]["high"] < 0) == (True, True)
    assert turned.decision == "conditional"


def test_a_sign_on_log_odds_that_is_merely_uncertain_leaves_it_undecided():
    rng = np.random.default_rng(3)
    for pair in np.linspace(-0.01, 0.02, 13):
        found = primary("h6b", Scaled(3.0, float(pair)).tables())
        odds = found.strata["log-odds"]
        if odds["effect"] < 0 < odds["high"]:
            assert found.decision == "undecided"
            break
    else:
        pytest.fail(f"no such case was planted {rng}")


def test_h6b_is_not_read_off_a_fraction_that_cannot_tell():
    """Sixteen runs alias the pair with two others; 32 and 64 do not."""
    from experiments.specs.designs import fractional_factorial

    for runs, rows in ((16, 0), (32, 1), (64, 1)):
        cells = [cell.toggles for cell in fractional_factorial(runs)]
        specs = [
            core.run("walk", "full", seed, toggles=t, settings=study.BIASED, probes={})
            for seed in range(1000, 1004)
            for t in cells
        ]
        given = frame_of(specs)
        start = np.where(given["value_pretraining"].to_numpy(bool), 0.0, 1.0)
        found = judged("h6b", tables(given, {"activity_value_pretraining": start, "auc": 0.5}))
        assert len([row for row in found if row.primary]) == rows


def test_h6b_beside_a_fresh_critic_and_failing_combinations():
    """A fresh start without interaction does not touch the verdict; a combination at a third of full VAPO's has failed."""
    given = simulated("h6b", 0.06)
    fresh = given.runs.assign(**{"settings.critic_bias": 0.0, "auc": 0.6})
    fresh["spec"] = [f"f{i}" for i in range(len(fresh))]
    bare = (~given.runs[list(COMPONENTS)].to_numpy(bool)).all(1)
    given = given._replace(runs=given.runs.assign(auc=np.where(bare, 0.2, given.runs["auc"])))
    both = given._replace(runs=pd.concat([given.runs, fresh], ignore_index=True))
    assert primary("h6b", both).effect == pytest.approx(primary("h6b", given).effect)
    rows = secondary("h6b", both)
    assert rows["the same from a fresh critic (critic_bias = 0)"].effect == pytest.approx(0, abs=1e-9)
    failed = rows["share of combinations below half of full VAPO's area, biased critic"]
    assert failed.effect == pytest.approx(1 / 128, abs=0.002)


def test_h6b_on_text_from_corners_or_a_fraction():
    """By hand: minus half of (11 + 00 - 10 - 01)."""
    specs = [
        core.run("lm", "quick", seed, toggles=t, settings=study.BIASED, probes={})
        for seed in (0, 1, 2)
        for t in study.corners()
    ]
    runs = frame_of(specs)
    on = runs[["value_pretraining", "decoupled_gae"]].to_numpy(bool)
    auc = 0.3 + 0.2 * on[:, 0] + 0.1 * on[:, 1] - 0.08 * on.all(1)
    (row,) = judged("h6b", tables(runs, {"auc": auc}))
    assert (row.level, row.effect) == ("tiny_lm", pytest.approx(0.04))
    specs = [spec for spec in study.factorial("full") if spec.world == "lm"]
    runs = frame_of(specs)
    points = np.where(runs[list(COMPONENTS)].to_numpy(bool), 1, -1)
    (row,) = judged("h6b", tables(runs, {"auc": 0.5 - 0.03 * contrast(points, "AB") / 2}))
    assert (row.effect, row.seeds) == (pytest.approx(0.03), 5)


def test_pictures_show_what_was_judged():
    drawn = judge.figures(simulated("h6a", 0.1), QUESTIONS)
    assert list(drawn) == ["promise", "falls"]
    assert len(drawn["promise"].data) == len(planted.RUNS) * len(planted.STEPS)
    drawn = judge.figures(simulated("h6b", 0.05), QUESTIONS)
    assert list(drawn) == ["effects_biased", "combinations_biased", "shapley"]
    assert len(drawn["combinations_biased"].data) == 128
    pair = drawn["effects_biased"].data.set_index("letters").loc["AB", "auc"]
    assert pair == pytest.approx(-primary("h6b", simulated("h6b", 0.05)).effect)
