"""Judges of limitation 6 on planted data: both signs, floors, missing rows, scales, and the controls that METHODS.md names."""

import numpy as np
import pytest
from scipy import stats

from analysis.hypotheses.components import complementarity
from analysis.hypotheses.components.cells import Cells
from analysis.hypotheses.h6_interactions import judge
from analysis.hypotheses.h6_interactions.tables import (
    BANDS,
    Updates,
    given_back,
    given_back_interval,
    share_interval,
    shortfall,
)
from analysis.tables.schema import Tables
from analysis.verdict.decisions import Verdict
from experiments.studies import core
from experiments.studies.components import runs as components
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
    check("h6_interactions", question, 8)


@pytest.mark.parametrize("question", list(JUDGES))
def test_one_seed_has_no_bounds_and_no_rows_no_verdict(question):
    given = simulated(question, 0.1)
    lone = primary(question, keep(given, given.runs["seed"] == 1000))
    assert (lone.decision, lone.seeds) == ("undecided", 1)
    assert judged(question, keep(given, given.runs["seed"] < 0)) == []


# --- h6a ---


@pytest.mark.parametrize(("share", "decision"), [(0.15, "supported"), (0.0, "refuted_negligible"), (0.05, "undecided")])
def test_h6a_controls(share, decision):
    """Predicted, none, and at the threshold; a share of the gain has no other sign."""
    found = primary("h6a", simulated("h6a", share))
    assert found.decision == decision
    assert found.effect == pytest.approx(share, abs=0.04)


def test_tiny_falls_however_many_are_negligible():
    """Half of all updates fall, each by a hundredth of a rise: the count says 0.5, the loss 0.01."""
    rng, delta, start = np.random.default_rng(0), {}, {}
    for step in map(int, planted.STEPS):
        falls = rng.random(len(planted.RUNS)) < 0.5
        delta[step], start[step] = np.where(falls, -1e-4, 1e-2), 0.25 + 0.7 * step / 41
    extra = {f"large_update/{name}": {s: np.full(len(planted.RUNS), 0.05) for s in delta} for name in ("tv", "signal")}
    given = tables(planted.RUNS, {}, {"large_update/delta_j": delta, "val/exact_j": start, **extra})
    assert primary("h6a", given).decision == "refuted_negligible"
    rows = secondary("h6a", given)
    assert rows["share of updates that lower J by more than 1e-6, however little"].effect == pytest.approx(
        0.5, abs=0.03
    )


def updates_of(**given) -> Updates:
    size = len(next(iter(given.values())))
    blank = dict.fromkeys(Updates._fields, np.zeros(size))
    return Updates(**{**blank, **given})


def test_loss_over_gain_by_hand():
    """Bands weigh alike, whatever their gains: (1/4 + 0 + 2/1) / 3; a start above 0.95 or below 0.2 has no say."""
    j = np.array([0.3, 0.3, 0.6, 0.85, 0.85, 0.97, 0.1])
    delta = np.array([4.0, -1.0, 9.0, 1.0, -2.0, -99.0, -99.0])
    assert given_back(updates_of(j=j, delta_j=delta), BANDS) == pytest.approx((0.25 + 0 + 2.0) / 3)


def test_h6a_where_a_band_is_never_reached_has_no_estimate():
    given = simulated("h6a", 0.1)
    early = given.curves[given.curves["step"] <= 2]
    row = primary("h6a", given._replace(curves=early))
    assert row.decision == "undecided"
    assert "no update from a J between" in row.strata["note"]


def test_h6a_without_any_fall_still_has_a_width():
    found = primary("h6a", simulated("h6a", 0.0))
    assert (found.effect, found.low) == (0, 0)
    assert 0 < found.high < 0.01


def test_an_interval_is_never_below_0():
    seed, j = np.repeat(np.arange(4), 3), np.tile([0.3, 0.6, 0.9], 4)
    delta = np.where(np.arange(12) == 0, -1.0, 1.0)
    found = given_back_interval(updates_of(seed=seed, j=j, delta_j=delta), BANDS, 0.95)
    assert found.low == 0.0 < found.estimate < found.high


def test_h6a_counts_nothing_where_updates_do_not_move():
    given = simulated("h6a", 0.2)
    still = (given.curves["metric"] == "large_update/tv").to_numpy()
    curves = given.curves.assign(value=np.where(still, 1e-5, given.curves["value"]))
    assert primary("h6a", given._replace(curves=curves)).decision == "not_tested"


def test_share_interval_is_the_wider_of_two():
    seed = np.repeat(np.arange(10), 20)
    lumped, spread = seed < 2, np.arange(200) % 5 == 0
    mean, low, high = share_interval(seed, lumped, 0.95)
    student_half = stats.t.ppf(0.975, 9) * np.std([1, 1, *[0] * 8], ddof=1) / np.sqrt(10)
    assert (mean, low, high) == pytest.approx((0.2, 0.2 - student_half, 0.2 + student_half))
    exact = stats.binomtest(40, 200).proportion_ci(0.95)
    assert share_interval(seed, spread, 0.95)[1:] == pytest.approx((exact.low, exact.high))


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
    early, late = (
        rows[f"the same for updates from J between {band} alone"] for band in ("0.2 and 0.5", "0.8 and 0.95")
    )
    assert late.effect > early.effect
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
    assert found.effect == pytest.approx(size * 0.02, abs=0.015)
    assert found.seeds == components.SIZES["triple"].full


def test_the_interaction_by_hand():
    """11 = 0.5, 01 = 0.4, 10 = 0.4, 00 = 0.1: pretraining is worth 0.1 with the adaptive lambda and 0.3 without."""
    on = planted.CELLS[["value_pretraining", "length_adaptive_gae"]].to_numpy(bool)
    auc = 0.1 + 0.3 * on[:, 0] + 0.3 * on[:, 1] - 0.2 * on.all(1)
    cells = judge.corners(Cells(tables(planted.CELLS, {"auc": auc}).runs), judge.of_length(128), *judge.PAIR)
    assert judge.interaction(cells).to_numpy() == pytest.approx(np.full(len(cells), -0.1))
    assert cells.shape[1] == 4 * 4


def test_other_components_of_the_triple_have_no_say():
    """The cells without decoupled_gae carry another interaction; the pair is judged with the other five on."""
    listed = dict.fromkeys(components.grid("full"))
    given = frame_of([spec for spec in listed if spec.seed < 1003 and spec.task.dials["horizon"] == 256])
    on = given[["value_pretraining", "length_adaptive_gae", "decoupled_gae"]].to_numpy(bool)
    auc = 0.3 + 0.1 * on[:, 0] * on[:, 1] * on[:, 2] - 0.3 * on[:, 0] * on[:, 1] * ~on[:, 2]
    cells = judge.corners(Cells(tables(given, {"auc": auc}).runs), judge.of_length(128), *judge.PAIR)
    assert judge.interaction(cells).mean() == pytest.approx(0.05)


def test_h6b_needs_a_lambda_that_differs():
    given = simulated("h6b", 0.06)
    idle = given._replace(runs=given.runs.assign(activity_length_adaptive_gae=0.005))
    assert primary("h6b", idle).decision == "not_tested"


def scaled(height: float, pair: float) -> Tables:
    """Scores additive on log-odds near a ceiling, but for the pair's contrast."""
    rng, runs = np.random.default_rng(0), planted.CELLS
    a, b = (np.where(runs[name].to_numpy(bool), 1, -1) for name in judge.PAIR)
    odds = height + a + b + pair * a * b
    auc = 1 / (1 + np.exp(-odds - 0.1 * rng.normal(size=len(runs))))
    return tables(runs, {"auc": auc, "activity_length_adaptive_gae": 0.05})


def test_ceilings_make_interactions_and_the_log_odds_tell():
    """Control: additive on log-odds at a mean near 1 interacts on AUC; with the opposite sign there, it is conditional."""
    ceiling = primary("h6b", scaled(3.0, 0.0))
    assert ceiling.effect > 0.02
    assert abs(ceiling.strata["log-odds"]["effect"]) < 0.05
    turned = primary("h6b", scaled(3.0, 0.1))
    assert (turned.effect > 0.02, turned.strata["log-odds"]["high"] < 0) == (True, True)
    assert turned.decision == "conditional"


def test_a_sign_on_log_odds_that_is_merely_uncertain_leaves_it_undecided():
    for pair in np.linspace(-0.01, 0.02, 13):
        found = primary("h6b", scaled(3.0, float(pair)))
        odds = found.strata["log-odds"]
        if odds["effect"] < 0 < odds["high"]:
            assert found.decision == "undecided"
            break
    else:
        pytest.fail("no such case was planted")


def test_the_ratio_and_its_note_stand_beside_the_pair():
    """Nothing alone and everything together: seven losses of the whole gain each."""
    runs = frame_of(list(dict.fromkeys(components.grid("quick"))))
    together = runs[["value_pretraining", "clip_higher", "group_sampling", "token_level_loss"]].to_numpy(bool).all(1)
    together &= runs[["decoupled_gae", "length_adaptive_gae", "positive_lm_loss"]].to_numpy(bool).all(1)
    rng = np.random.default_rng(0)
    auc = 0.3 + 0.3 * together + 0.002 * rng.normal(size=len(runs))
    rows = {v.unit: v for v in judge.h6b(tables(runs, {"auc": auc}), QUESTIONS["h6b"], "quick")}
    assert rows["ratio"].effect == pytest.approx(7.0, abs=0.3)
    assert f"{complementarity.PAPER:.2f}" in rows["ratio"].estimand
    none = {
        v.unit: v
        for v in judge.h6b(tables(runs, {"auc": 0.3 + 0.1 * rng.normal(size=len(runs))}), QUESTIONS["h6b"], "quick")
    }
    assert "not resolvable" in none["ratio"].strata["note"]


def test_every_row_says_how_long_answers_were():
    given = simulated("h6b", 0.05)
    assert all(np.isfinite(v.mean_length) for v in judged("h6b", given))
    assert all(np.isfinite(v.mean_length) for v in judged("h6a", simulated("h6a", 0.1)))


def test_pictures_show_what_was_judged():
    drawn = judge.figures(simulated("h6a", 0.1), QUESTIONS)
    assert list(drawn) == ["promise", "falls", "given_back"]
    assert len(drawn["promise"].data) == len(planted.RUNS) * len(planted.STEPS)
    runs = frame_of(list(components.of_cells("shortest", "full", [components.NOISY[0]], components.full_factorial())))
    drawn = judge.figures(tables(runs, {"auc": np.random.default_rng(0).random(len(runs))}), QUESTIONS)
    assert list(drawn) == ["effects_shortest", "combinations_shortest", "shapley"]
    assert len(drawn["combinations_shortest"].data) == 128
