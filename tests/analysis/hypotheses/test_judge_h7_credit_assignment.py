"""Judges of limitation 7 on planted data: both signs, floors, missing rows, and the controls that METHODS.md names."""

import numpy as np
import pandas as pd
import pytest

from analysis.hypotheses.h7_credit_assignment import judge
from analysis.hypotheses.h7_credit_assignment.tables import Blame, binned_share
from analysis.tables.times import shared, times
from analysis.verdict.decisions import NOTE
from experiments.studies.h7_credit_assignment.questions import QUESTIONS
from tests.calibration import h7_credit_assignment as planted
from tests.calibration.planting import frame, tables
from tests.calibration.run import check


def h7b(given):
    return judge.h7b(given, QUESTIONS["h7b"], "full")


def h7a(given):
    return judge.h7a(given, QUESTIONS["h7a"], "full")


def only(found):
    primary = [v for v in found if v.primary]
    assert len(primary) == 1
    return primary[0]


@pytest.mark.parametrize(
    ("token", "step", "expected"), [(1.5, 1.0, "refuted_opposite"), (1.0, 1.5, "refuted_opposite")]
)
def test_h7b_tells_exponents_1_and_1_and_a_half_apart(token, step, expected):
    """METHODS.md's positive control, either way round; few runs are censored."""
    row = only(h7b(planted.simulate_h7b(token - step, np.random.default_rng(0), exponent=step)))
    assert row.decision == expected
    assert row.effect == pytest.approx(token - step, abs=0.12)


def test_h7b_of_the_same_data_relabelled_is_zero():
    """METHODS.md's negative control: one table under both names, but for rounding; without any spread nothing is decided."""
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    token = given.runs["variants"] == "values=fresh_error"
    values = given.curves.merge(
        given.runs[["spec", "seed", "dials.nearest", "variants"]].astype({"spec": str}), on="spec"
    )
    own = values[values["variants"] == "values=fresh_error"]
    other = given.runs.loc[~token, ["spec", "seed", "dials.nearest"]].astype({"spec": str})
    copied = own.drop(columns=["spec", "variants"]).merge(other, on=["seed", "dials.nearest"])
    columns = ["spec", "step", "metric", "value"]
    both = pd.concat([own[columns], copied[columns]])
    row = only(h7b(given._replace(curves=both)))
    assert (row.effect, row.decision) == (pytest.approx(0, abs=1e-6), "undecided")
    noise = 1e-5 * np.random.default_rng(1).normal(size=len(both))
    row = only(h7b(given._replace(curves=both.assign(value=both["value"] + noise))))
    assert (row.effect, row.decision) == (pytest.approx(0, abs=1e-3), "supported")


def test_h7b_counts_censored_runs_as_late():
    """With half of the longest runs unfinished the exponents still come out; dropping them would flatten both."""
    given = planted.simulate_h7b(0.5, np.random.default_rng(0), exponent=2.0)
    token = judge.arm(given.runs, 0.1, judge.TOKEN_LAMBDA, False)
    found = times(given, token, "val/exact_j", judge.SOLVED)
    assert 0.05 < (~found.seen).mean() < 0.4
    row = only(h7b(given))
    assert row.effect == pytest.approx(0.5, abs=0.15)
    dropped = np.polyfit(np.log(token["dials.nearest"][found.seen]), np.log(found.samples[found.seen]), 1)[0]
    assert dropped < 2.4  # the truth is 2.5


def test_h7b_floor_one_seed_and_missing_rows():
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    flat = given.curves.assign(value=given.curves["value"].where(given.curves["metric"] != "credit/td_square", 0.006))
    assert only(h7b(given._replace(curves=flat))).decision == "not_tested"
    single = only(h7b(given._replace(runs=given.runs[given.runs["seed"] == 1000])))
    assert single.decision == "undecided"
    assert np.isnan(single.low)
    assert judge.score(given._replace(runs=given.runs.iloc[:0]), QUESTIONS, "full") == []
    assert judge.figures(given._replace(runs=given.runs.iloc[:0]), QUESTIONS) == {}


def test_h7b_where_nobody_arrives_is_undecided():
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    low = given.curves.assign(value=given.curves["value"].where(given.curves["metric"] != "val/exact_j", 0.1))
    row = only(h7b(given._replace(curves=low)))
    assert row.decision == "undecided"
    assert np.isnan(row.effect)
    assert "0 of 192 runs saw the event" in row.strata[NOTE]


def test_h7b_takes_only_seeds_with_every_cell():
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    lost = (
        (given.runs["seed"] == 1002)
        & (given.runs["dials.nearest"] == 17)
        & (given.runs["variants"] == "values=fresh_error")
    )
    assert only(h7b(given._replace(runs=given.runs[~lost]))).seeds == 31


def test_shared_seeds_by_hand():
    a = pd.DataFrame({"seed": [0, 0, 1], "cell": [5, 9, 5]})
    b = pd.DataFrame({"seed": [0, 0, 1, 1], "cell": [5, 9, 5, 9]})
    assert [part["seed"].tolist() for part in shared((a, b), "cell")] == [[0, 0], [0, 0]]


def test_times_by_hand():
    """0.8 halfway between steps 2 and 4; a run that ends at 0.7 is censored at its last step; 256 responses a step."""
    runs = frame([{"seed": 0, "steps": 6}, {"seed": 1, "steps": 6}])
    given = tables(runs, metrics={"val/exact_j": {0: 0.1, 2: [0.6, 0.5], 4: [1.0, 0.6], 6: [1.0, 0.7]}})
    found = times(given, given.runs, "val/exact_j", 0.8)
    assert found.samples.tolist() == [3 * 256, 6 * 256]
    assert found.seen.tolist() == [True, False]


def test_samples_at_one_length_are_a_ratio():
    given = planted.simulate_h7b(0.0, np.random.default_rng(0), run_sd=0.02)
    token = given.runs["variants"] == "values=fresh_error"
    slow = given.runs.assign(**{"settings.responses_per_step": np.where(token, 512, 256)})
    rows = [v for v in h7b(given._replace(runs=slow)) if v.estimand.startswith("log ratio of samples to J")]
    assert [v.effect for v in rows] == pytest.approx([np.log(2)] * 3, abs=0.03)
    assert not any(v.primary for v in rows)


# --- h7a: blame ---


def blamed(power, rng, world="walk", column_noise=0.05, **row):
    """Arrays of planted errors whose share of blame falls as length^-power."""
    runs = frame([{"world": world, "seed": seed, **row} for seed in range(1000, 1006)])
    rows = []
    for spec, steps in zip(runs["spec"], runs["steps"], strict=True):
        length = rng.integers(3, 33, size=120).astype(float)
        share = np.clip(2.0 * length**-power * np.exp(column_noise * rng.normal(size=120)), 0, 1)
        for name, values in (
            ("length", length),
            ("share", share),
            ("share_exact", share / 2),
            ("auroc", 0.7 + 0 * share),
        ):
            rows += [(spec, steps, "credit", i, name, v) for i, v in enumerate(values)]
            rows += [(spec, 0, "credit", i, name, 0.5) for i in range(3)]  # an earlier measurement that must not count
    probes = pd.DataFrame(rows, columns=["spec", "step", "probe", "item", "column", "value"])
    return tables(runs, probes=probes.astype({"spec": "category", "probe": "category", "column": "category"}))


RING = {"dials.size": 32, "dials.nearest": 2, "dials.farthest": 32}


@pytest.mark.parametrize("power", [0.9, 0.0])
def test_h7a_slopes_of_planted_blame(power):
    """Blame that thins out with length has its power, blame that does not has slope 0; both are secondary on the walk."""
    found = h7a(blamed(power, np.random.default_rng(0), **RING))
    assert not any(v.primary for v in found)
    slopes = [v for v in found if v.estimand.startswith("minus the slope")]
    assert [v.effect for v in slopes] == pytest.approx([power] * 2, abs=0.06 + 0.1 * power)
    assert {v.seeds for v in found} == {6}


def test_h7a_level_and_rank():
    found = h7a(blamed(0.9, np.random.default_rng(0), **RING))
    assert next(v for v in found if v.estimand.startswith("0.5 less")).effect > 0.2
    assert next(v for v in found if v.estimand.startswith("AUROC")).effect == pytest.approx(0.2)


def test_h7a_of_a_constant_lambda_is_a_row_of_its_own():
    row = {**RING, "length_adaptive_gae": False, "settings.fixed_lambda": 0.875}
    found = h7a(blamed(0.0, np.random.default_rng(0), **row))
    assert all("constant" in v.estimand for v in found)


def test_h7a_on_text_is_the_mean_of_its_tasks():
    one, two = (blamed(p, np.random.default_rng(0), "lm", task=t) for p, t in ((1.0, "text_walk"), (0.4, "chain")))
    runs = pd.concat([one.runs, two.runs.assign(spec=["x" + s for s in two.runs["spec"]])])
    probes = pd.concat([one.probes.astype({"spec": str}), two.probes.assign(spec="x" + two.probes["spec"].astype(str))])
    found = h7a(one._replace(runs=runs, probes=probes))
    assert [(v.level, v.primary) for v in found] == [("tiny_lm", False)]
    assert found[0].effect == pytest.approx(0.7, abs=0.1)


def test_h7a_without_arrays_has_no_rows():
    given = blamed(0.9, np.random.default_rng(0), **RING)
    assert h7a(given._replace(probes=given.probes.iloc[:0])) == []


def test_bins_by_hand():
    """Four lengths in four bins; an error without blame is left out, a bin without any share too."""
    found = binned_share(np.array([2.0, 4, 8, 16, 16]), np.array([0.8, 0.4, 0.0, 0.1, np.nan]))
    assert found.tolist() == [[2, 0.8], [4, 0.4], [16, 0.1]]
    assert binned_share(np.array([3.0]), np.array([np.nan])).shape == (0, 2)


def test_blame_reads_the_last_measurement():
    given = blamed(0.9, np.random.default_rng(0), **RING)
    assert len(Blame.of(given, given.runs).errors) == 6 * 120


def test_figures_show_their_numbers():
    drawn = judge.figures(planted.simulate_h7b(0.2, np.random.default_rng(0)), QUESTIONS)
    data = drawn["samples"].data
    assert len(data) == 2 * 3
    assert (data["runs"] == 32).all()
    blame = judge.figures(blamed(0.9, np.random.default_rng(0), **RING), QUESTIONS)["blame"].data
    critic = blame[blame["values"] == "trained critic"]
    assert critic["share"].is_monotonic_decreasing
    assert np.allclose(blame[blame["values"] == "true values"]["share"], critic["share"] / 2)


def test_a_few_simulations_speak_against_no_claim():
    check("h7_credit_assignment", "h7b", 4)
