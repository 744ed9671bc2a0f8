"""Judges of the exact level on planted arrays: both signs, floors, missing rows, one family; regrets by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.hypotheses.exact_tables import arrays, at, measured, per_seed
from analysis.hypotheses.h1_value_fidelity import exact as exact_h1
from analysis.hypotheses.h2_length_adaptive_gae import exact as exact_h2
from analysis.hypotheses.h2_length_adaptive_gae.regret import Moments, best_horizon, on_curve, wasted
from analysis.hypotheses.h3_token_level_loss import exact as exact_h3
from analysis.hypotheses.h6_interactions import exact as exact_h6
from analysis.hypotheses.h7_credit_assignment import exact as exact_h7
from analysis.statistics.intervals import student
from analysis.tables.schema import Tables
from analysis.verdict.decisions import NOTE
from experiments.studies.h1_value_fidelity import questions as h1_value_fidelity_questions
from experiments.studies.h2_length_adaptive_gae import questions as h2_length_adaptive_gae_questions
from experiments.studies.h6_interactions.questions import QUESTIONS as H6
from experiments.studies.h7_credit_assignment import questions as h7_credit_assignment_questions
from tests.calibration import exact_level

ASKED = {
    "h1b": (h1_value_fidelity_questions.QUESTIONS["h1b"], exact_h1.h1b),
    "h2a": (h2_length_adaptive_gae_questions.QUESTIONS["h2a"], exact_h2.h2a),
    "h7a": (h7_credit_assignment_questions.QUESTIONS["h7a"], exact_h7.h7a),
}


def planted(name, theta, seed=0, **more):
    return exact_level.SIMULATIONS[name](theta, np.random.default_rng(seed), **more)


def primary(name, tables):
    question, judge = ASKED[name]
    (row,) = [row for row in judge(tables, question, "full") if row.primary]
    return row


def families(tables, seeds):
    """Some of the families."""
    runs = tables.runs[tables.runs["seed"].isin(seeds)]
    return Tables(runs, tables.curves, tables.probes[tables.probes["spec"].isin(runs["spec"])])


@pytest.mark.parametrize("name", list(ASKED))
@pytest.mark.parametrize(("deltas", "decision"), [(3, "supported"), (0, "refuted_negligible")])
def test_planted_effects_are_seen_at_the_corrected_level(name, deltas, decision):
    question = ASKED[name][0]
    row = primary(name, planted(name, deltas * question.threshold))
    assert (row.decision, row.level, row.seeds) == (decision, "exact", 64)
    assert row.low <= deltas * question.threshold <= row.high or deltas == 0


@pytest.mark.parametrize("name", ["h2a", "h7a"])
def test_the_opposite_is_called_so(name):
    more = {"level": 3.0} if name == "h2a" else {"first": 1e-3}  # within the grid of horizons, and below a share of 1
    assert primary(name, planted(name, -2 * ASKED[name][0].threshold, **more)).decision == "refuted_opposite"


@pytest.mark.parametrize("name", list(ASKED))
def test_one_family_decides_nothing_and_no_rows_give_no_verdict(name):
    question, judge = ASKED[name]
    tables = planted(name, 3 * question.threshold)
    alone = primary(name, families(tables, [1000]))
    assert (alone.decision, alone.seeds) == ("undecided", 1)
    assert judge(families(tables, []), question, "full") == []


def test_an_inert_error_is_not_tested():
    tables = planted("h1b", 0.15)
    spread = (tables.probes["column"] == "spread").to_numpy()
    tables.probes.loc[spread, "value"] = 0.0
    assert primary("h1b", tables).decision == "not_tested"


def test_h1b_says_how_the_bias_grows_with_length():
    """Twice the bias at four times the length, as planted by the exponent 1/2, and nothing where there is one length."""
    state = pd.DataFrame({
        "seed": [0, 0, 1, 1], "lambda": 0.95, "length": [64, 256, 64, 256], "size": 0.1, "bias": [0.1, 0.2, 0.14, 0.28],
    })  # fmt: skip
    said = exact_h1.growth_note(state)[NOTE]
    assert said.endswith("0.12 at 64 tokens, 0.24 at 256 tokens")
    assert exact_h1.growth_note(state[state["length"] == 64]) == {}


def test_families_whose_horizon_leaves_the_grid_are_not_tested():
    assert primary("h2a", planted("h2a", 0.0, level=1e-3)).decision == "not_tested"


def test_an_error_that_loses_nothing_is_not_tested():
    tables = planted("h7a", 1.0)
    tables.probes.loc[(tables.probes["column"] == "lost").to_numpy(), "value"] = 0.01
    assert primary("h7a", tables).decision == "not_tested"


def test_h2a_controls():
    """h* = 0.4 l has slope 1, theta 0; a constant h* has theta 1."""
    linear = primary("h2a", planted("h2a", 0.0, level=0.4 * 64, sd=0.05))
    assert linear.effect == pytest.approx(0.0, abs=0.02)
    assert linear.decision == "refuted_negligible"
    constant = primary("h2a", planted("h2a", 1.0, sd=0.05))
    assert constant.effect == pytest.approx(1.0, abs=0.02)
    assert constant.decision == "supported"


def test_h2a_tells_forms_apart_when_h_goes_with_the_cube_root():
    """VAPO's rule wastes most; a form with the right exponent hardly anything."""
    question, judge = ASKED["h2a"]
    rows = judge(planted("h2a", 2 / 3, sd=0.05), question, "full")
    cost = {name: next(r.effect for r in rows if f"{name} wastes" in r.estimand) for name in exact_h2.FORMS}
    assert cost["h = c l^(1/3)"] < 0.02 < cost["a constant h"] < cost["VAPO's h = alpha l"]
    both = next(r for r in rows if r.estimand.startswith("what VAPO's rule wastes beyond a constant h"))
    assert both.effect == pytest.approx(cost["VAPO's h = alpha l"] - cost["a constant h"])
    assert both.decision is None


def test_h2a_says_where_a_slope_is_no_exponent():
    """Every best horizon of the longest problems at the end h = 1: named, and no power law; none where all lie inside."""
    question, judge = ASKED["h2a"]
    inside = [row for row in judge(planted("h2a", 2 / 3), question, "full") if row.estimand.startswith("1 - beta, B")]
    assert [row.strata[NOTE] for row in inside] == ["no best horizon lies at an end of the grid"] * 3
    falling = judge(planted("h2a", 2.0, level=1.5), question, "full")
    notes = [row.strata[NOTE] for row in falling if row.estimand.startswith("1 - beta, B")]
    assert all("100% at the longest: no power law" in note for note in notes)


def test_h2a_says_which_secondary_prediction_is_contradicted():
    """1 - beta = 0 is predicted of self-similar errors and of filler, and of nothing else."""
    question = ASKED["h2a"][0]
    found = exact_h2.curves(planted("h2a", 1.0), {"growth": "decisions", "error__kind": "state"})
    slow, other = exact_h2.LINEAR[1], "error of 0.3"
    (row,), (silent,) = (exact_h2.slope_row(question, found, 512, what, "full") for what in (slow, other))
    assert "PREDICTION CONTRADICTED" in row.strata[NOTE]
    assert "CONTRADICTED" not in silent.strata[NOTE]
    flat = exact_h2.curves(planted("h2a", 0.0), {"growth": "decisions", "error__kind": "state"})
    assert "CONTRADICTED" not in exact_h2.slope_row(question, flat, 512, slow, "full")[0].strata[NOTE]


def test_h2b_tunes_on_other_families():
    """Levels are noise alone: one tuned at short lengths is worth no less at long ones than one tuned there."""
    rows = exact_h2.h2b(planted("h2a", 0.0, sd=0.05), h2_length_adaptive_gae_questions.QUESTIONS["h2b"], "full")
    moved = next(row for row in rows if "by alpha tuned" in row.estimand)
    assert abs(moved.effect) < 0.01
    assert "both on other families" in moved.estimand


def test_shares_that_are_all_0_have_a_bound():
    """64 families without a fall: the share may be 5.6 %, 1 - 0.025^(1/64)."""
    assert exact_h6.of_shares(np.zeros(64)) == pytest.approx((0.0, 0.0, 1 - 0.025 ** (1 / 64)))
    assert exact_h6.of_shares(np.ones(64)) == pytest.approx((1.0, 0.025 ** (1 / 64), 1.0))
    mixed = np.repeat([0.0, 0.1], 32)
    assert exact_h6.of_shares(mixed) == pytest.approx(student(mixed))
    assert exact_h6.of_shares(np.full(4, 0.5)) == pytest.approx((0.5, 0.5, 0.5))
    (row,) = exact_h6.share_row(H6["h6a"], np.zeros(64), "full", "x", 0.05)
    assert (row.primary, row.decision, row.high) == (False, None, pytest.approx(0.056, abs=1e-3))
    assert exact_h6.share_row(H6["h6a"], np.zeros(0), "full", "x", 0.05) == []


def test_h2b_is_about_alpha_at_mixed_lengths():
    """Where h* = alpha l an alpha wastes nothing and a constant much, and the other way round where h* is constant."""
    question = h2_length_adaptive_gae_questions.QUESTIONS["h2b"]
    for theta, sign in ((0.0, -1), (1.0, 1)):
        rows = exact_h2.h2b(planted("h2a", theta, sd=0.05), question, "full")
        assert sign * rows[0].effect > 0.05
        assert not any(row.primary for row in rows)


def test_h3b_at_another_batch_by_hand():
    """1/Q = 1/cos^2 + n/B. Noise 100 and 40, cosines 1 and 0.8: the noisier token mean wins at 4,096 and loses at 64."""
    n, cos2 = np.array([100.0, 40.0]), np.array([1.0, 0.64])
    log = {batch: float(np.diff(np.log(1 / cos2 + n / batch))[0]) for batch in (64, 512, 4096)}
    table = pd.DataFrame({"cos_token": [1.0], "cos_sequence": [0.8], "log_noise": [np.log(2.5)],
                          "log_quality": [log[512]], "batch": [512.0]})  # fmt: skip
    found = {batch: exact_h3.quality(table, batch).iloc[0] for batch in log}
    assert found == pytest.approx(log)
    assert found[64] < -0.1 < 0.1 < found[4096]
    assert exact_h3.quality(table.assign(log_quality=-2.0), 64).isna().all()  # no noise above 0 gives that


def test_wasted_samples_by_hand():
    """Q = 1 / (1 + n/B): a rule with twice the noise at B = 100 does what the best does with 50."""
    best, worse = (Moments(np.ones(1), np.ones(1), np.array([n])) for n in (10.0, 20.0))
    assert wasted(worse.quality(100), best, 100) == pytest.approx(0.5)
    assert wasted(best.quality(100), best, 100) == pytest.approx(0.0)
    biased = Moments(np.array([0.1]), np.ones(1), np.zeros(1))  # cosine 0.1, no noise
    assert wasted(biased.quality(100), best, 100) == pytest.approx(1 - 10 / 99 / 100)


def test_best_horizon_between_grid_points_and_at_the_ends():
    grid = np.geomspace(1, 1e4, 30)
    true = np.array([[7.3], [555.0], [1e-3], [1e9]])
    quality = np.exp(-0.01 * np.log(grid / true) ** 2)
    assert best_horizon(grid, quality) == pytest.approx([7.3, 555.0, 1.0, 1e4], rel=1e-6)


def test_curves_are_read_linearly_in_log_h():
    grid = np.geomspace(1, 100, 3)
    curve = np.array([[0.0, 1.0, 4.0]])
    assert on_curve(grid, curve, np.array([[0.5, 1.0, np.sqrt(10), 100.0, 1e6]])) == pytest.approx(
        np.array([[0.0, 0.0, 0.5, 4.0, 4.0]])
    )


def test_arrays_are_wide_and_in_the_order_of_seeds():
    tables = planted("h7a", 1.0)
    mixed = Tables(
        tables.runs.sample(frac=1, random_state=0), tables.curves, tables.probes.sample(frac=1, random_state=1)
    )
    table = arrays(mixed, measured(mixed, "blame"), "blame")
    assert table["seed"].is_monotonic_increasing
    assert len(at(table, length=512)) == 64
    assert len(per_seed(table, "lost")) == 64
    assert arrays(mixed, measured(mixed, "bias"), "bias").empty


def test_a_horizon_that_is_off_costs_what_its_curve_says():
    """Q = 1 / (1 + n/B) with n = 10 (h/h* + h*/h) / 2: ten times off on either side makes the noise 5.05 times as large."""
    grid = np.geomspace(1, 1e4, 81)
    noise = 5 * (grid / 100 + 100 / grid)[None, None]
    curve = exact_h2.Curves(grid, np.array([64.0]), Moments(np.ones_like(noise), np.ones_like(noise), noise),
                            np.ones((1, 1)), np.ones((1, 1)))  # fmt: skip
    for factor in (0.1, 10.0):
        assert exact_h2.off_by(curve, factor, 100) == pytest.approx(1 - 1 / 5.05, abs=1e-6)
