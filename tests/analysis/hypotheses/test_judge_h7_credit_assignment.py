"""Judges of limitation 7 on planted data: both signs, floors, missing rows, and the controls that METHODS.md names."""

import numpy as np
import pandas as pd
import pytest

from analysis.hypotheses.h7_credit_assignment import judge
from analysis.hypotheses.h7_credit_assignment.tables import Blame, binned_share
from analysis.tables.times import paired, shared, times
from analysis.verdict import gates
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


BY_TOKEN = "values=state_error"


@pytest.mark.parametrize(
    ("token", "segment", "expected"),
    [(1.4, 0.9, "refuted_opposite"), (0.9, 1.4, "refuted_opposite"), (0.9, 0.9, "supported")],
)
def test_h7b_tells_exponents_apart(token, segment, expected):
    """METHODS.md's positive control, either way round; some runs are censored."""
    row = only(h7b(planted.simulate_h7b(token - segment, np.random.default_rng(0), exponent=segment)))
    assert row.decision == expected
    assert row.effect == pytest.approx(token - segment, abs=0.12)


@pytest.mark.parametrize(("gate", "expected"), [(0.8, "supported"), (-0.8, "supported"), (0.13, "not_tested")])
def test_h7b_behind_its_gate(gate, expected):
    """Both ends of lambda must part the exponents, either way: 0.13 of 0.2 does not, and equal arms then mean nothing."""
    found = h7b(planted.simulate_h7b(0.0, np.random.default_rng(0), gate=gate))
    assert only(found).decision == expected
    row = next(v for v in found if v.estimand.startswith("gate"))
    assert row.effect == pytest.approx(gate, abs=0.2)
    assert row.seeds == planted.study.SEEDS["full"]["gate"]
    assert only(found).strata.get(NOTE, "").startswith("gate closed") == (expected == "not_tested")


def test_h7b_counts_lost_runs_as_not_there():
    """Long runs by token that pass 0.8 and end at 0.05 have learned nothing that lasts: as if they had not got there."""
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    runs = planted.without_the_tail(given)
    kept = only(h7b(given._replace(runs=runs)))
    lost = (
        (runs["dials.nearest"] == planted.study.DECISIONS[-1]) & (runs["variants"] == BY_TOKEN) & (runs["seed"] % 4 > 0)
    )
    row = only(h7b(given._replace(runs=runs.assign(last=runs["last"].where(~lost, 0.05)))))
    assert row.effect > kept.effect + 0.3


def test_h7b_of_the_same_data_relabelled_is_zero():
    """METHODS.md's negative control: one table under both names, but for rounding; without any spread nothing is decided."""
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    given = given._replace(runs=planted.without_the_tail(given))
    runs = given.runs.astype({"spec": str})
    judged = runs[runs["seed"] >= 1000]
    token = judged[judged["variants"] == BY_TOKEN].set_index(["seed", "dials.nearest"])["spec"]
    other = judged[judged["variants"] != BY_TOKEN].set_index(["seed", "dials.nearest"])["spec"]
    curves = given.curves.astype({"spec": str})
    copied = curves[curves["spec"].isin(token)].assign(
        spec=lambda x: x["spec"].map(dict(zip(token, other[token.index], strict=True)))
    )
    both = pd.concat([curves[~curves["spec"].isin(other)], copied])
    row = only(h7b(given._replace(curves=both)))
    assert (row.effect, row.decision) == (pytest.approx(0, abs=1e-6), "undecided")
    noise = 1e-5 * np.random.default_rng(1).normal(size=len(both))
    row = only(h7b(given._replace(curves=both.assign(value=both["value"] + noise))))
    assert (row.effect, row.decision) == (pytest.approx(0, abs=1e-3), "supported")


def test_h7b_counts_censored_runs_as_late():
    """With half of the longest runs unfinished the exponents still come out; dropping them would flatten both."""
    given = planted.simulate_h7b(0.5, np.random.default_rng(0), exponent=1.4)
    given = given._replace(runs=planted.without_the_tail(given))
    token = judge.arm(gates.split(given).judged.runs, 0.1, judge.TOKEN_LAMBDA, False)
    found = times(given, token, "val/exact_j", judge.SOLVED)
    assert 0.05 < (~found.seen).mean() < 0.4
    row = only(h7b(given))
    assert row.effect == pytest.approx(0.5, abs=0.15)
    dropped = np.polyfit(np.log(token["dials.nearest"][found.seen]), np.log(found.samples[found.seen]), 1)[0]
    assert dropped < 1.8  # the truth is 1.9


def test_h7b_floor_one_seed_and_missing_rows():
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    brief = given._replace(runs=given.runs.assign(mean_length=4.0))
    row = only(h7b(brief))
    assert row.decision == "not_tested"
    assert NOTE not in row.strata
    single = only(h7b(given._replace(runs=given.runs[given.runs["seed"].isin([1000, *gates.SEEDS])])))
    assert single.decision == "undecided"
    assert np.isnan(single.low)
    assert judge.score(given._replace(runs=given.runs.iloc[:0]), QUESTIONS, "full") == []
    assert judge.figures(given._replace(runs=given.runs.iloc[:0]), QUESTIONS) == {}


def test_h7b_where_nobody_arrives_decides_nothing():
    """The gate has no number either, and the note gives both reasons."""
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    low = given.curves.assign(value=given.curves["value"].where(given.curves["metric"] != "val/exact_j", 0.1))
    row = only(h7b(given._replace(curves=low)))
    assert row.decision == "not_tested"
    assert np.isnan(row.effect)
    assert row.strata[NOTE].startswith("gate closed, no estimate: 0 of 144 runs saw the event")
    assert "0 of 768 runs saw the event" in row.strata[NOTE]


def test_h7b_takes_only_seeds_with_every_cell():
    given = planted.simulate_h7b(0.0, np.random.default_rng(0))
    lost = (
        (given.runs["seed"] == 1002)
        & (given.runs["dials.nearest"] == planted.study.DECISIONS[-1])
        & (given.runs["variants"] == BY_TOKEN)
    )
    assert only(h7b(given._replace(runs=given.runs[~lost]))).seeds == 127


def test_pairs_by_hand():
    """Cells may have seeds of their own; what one part lacks is left out of the other."""
    a = pd.DataFrame({"seed": [0, 0, 1], "cell": [5, 9, 5], "x": [1, 2, 3]})
    b = pd.DataFrame({"seed": [0, 1, 1], "cell": [5, 5, 9], "x": [4, 5, 6]})
    left, right = paired(a, b, "cell")
    assert (left["x"].tolist(), right["x"].tolist()) == ([1, 3], [4, 5])
    assert [list(part.columns) for part in paired(a.iloc[:0], b, "cell")] == [["seed", "cell", "x"]] * 2


def test_filler_is_beside_the_same_lambda_per_decision():
    """Derived: twice the samples with filler at equal lambda per decision would show, and decide nothing."""
    rows = [
        {"seed": seed, "dials.size": 32, "dials.horizon": 64, "dials.skill": 2.0, "dials.nearest": d, "dials.farthest": d,
         "dials.filler": filler, "settings.fixed_lambda": lam, "length_adaptive_gae": False, "steps": 60, "variants": ""}
        for seed in range(1000, 1008) for d in (6, 12) for filler, lam in ((3, 0.95), (0, 0.95**4))
    ]  # fmt: skip
    runs = frame(rows)
    slow = np.where(runs["dials.filler"] == 3, 2.0, 1.0) * np.exp(0.1 * np.random.default_rng(0).normal(size=len(runs)))
    curve = {step: np.minimum(0.8 * step / (10 * slow), 1.0) for step in range(0, 61, 2)}
    (row,) = (v for v in h7b(tables(runs, metrics={"val/exact_j": curve})) if v.estimand.startswith("derived"))
    assert row.effect == pytest.approx(np.log(2), abs=0.15)
    assert not row.primary


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
    token = given.runs["variants"] == BY_TOKEN
    slow = given.runs.assign(**{"settings.responses_per_step": np.where(token, 512, 256)})
    rows = [v for v in h7b(given._replace(runs=slow)) if v.estimand.startswith("log ratio of samples to J")]
    assert [v.effect for v in rows] == pytest.approx([np.log(2)] * 3, abs=0.03)
    assert not any(v.primary for v in rows)
    assert [v.mean_length for v in rows] == pytest.approx([1.4 * d for d in planted.study.DECISIONS])


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


RING = {"dials.size": 64, "dials.nearest": 8, "dials.farthest": 64}


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
    row = {**RING, "length_adaptive_gae": False, "settings.fixed_lambda": 0.9375}
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
    assert (data["runs"] == 128).all()
    blame = judge.figures(blamed(0.9, np.random.default_rng(0), **RING), QUESTIONS)["blame"].data
    critic = blame[blame["values"] == "trained critic"]
    assert critic["share"].is_monotonic_decreasing
    assert np.allclose(blame[blame["values"] == "true values"]["share"], critic["share"] / 2)


def test_a_few_simulations_speak_against_no_claim():
    check("h7_credit_assignment", "h7b", 4)
