"""Judges of limitation 4 on planted data: both signs, floors, missing rows, and the controls that METHODS.md names."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from analysis.hypotheses.components.boundaries import cells
from analysis.hypotheses.h4_exploration import escape, judge
from analysis.tables.schema import Tables
from analysis.verdict import gates
from analysis.verdict.decisions import NOTE
from experiments.studies.h4_exploration.questions import QUESTIONS
from experiments.studies.h4_exploration.runs import TRIO
from tests.calibration import h4_exploration as planted
from tests.calibration.planting import frame, tables
from tests.calibration.run import check

LN2 = float(np.log(2))


def decision(found, question):
    only = [v for v in found if v.primary and v.question == question]
    assert len(only) == 1
    return only[0].decision


def h4a(given):
    return judge.h4a(given, QUESTIONS["h4a"], "full")


def h4b(given):
    return judge.h4b(given, QUESTIONS["h4b"], "full")


def keep(given: Tables, rows) -> Tables:
    return given._replace(runs=given.runs[np.asarray(rows)])


@pytest.mark.parametrize(("theta", "expected"), [(0, "supported"), (2, "refuted_opposite"), (-2, "refuted_opposite")])
def test_h4a_controls(theta, expected):
    """Identical curves, and curves two doublings apart either way."""
    found = h4a(planted.simulate_h4a(theta * LN2, np.random.default_rng(0)))
    assert decision(found, "h4a") == expected
    assert found[0].effect == pytest.approx(theta * LN2, abs=0.3)


def test_h4a_with_a_sharp_edge():
    """Every seed changes between the same two depths: estimates stay finite, the gap between doses is all that is known."""
    found = h4a(planted.simulate_h4a(0.0, np.random.default_rng(0), steepness=1e6))
    assert np.isfinite([found[0].effect, found[0].low, found[0].high]).all()
    assert found[0].low < 0 < found[0].high


def test_h4a_is_not_tested_where_all_are_caught():
    """A wall is no trap: nothing can be said of components that had nothing to escape from, or escaped always."""
    given = planted.simulate_h4a(0.0, np.random.default_rng(0))
    for last in (0.2, 0.99):
        assert decision(h4a(given._replace(runs=given.runs.assign(last=last))), "h4a") == "not_tested"


@pytest.mark.parametrize(("last", "found"), [(0.2, 0), (0.35, 0), (0.57, 1), (0.63, 1), (0.99, 2)])
def test_h4a_counts_directions(last, found):
    """0.57 and 0.63 are what one direction of the two earns: a cut between them would read which one was found."""
    given = planted.simulate_h4a(0.0, np.random.default_rng(0))
    runs = escape.trapped(given._replace(runs=given.runs.assign(last=last)))
    assert set(runs["escaped"]) == {found / 2}
    each = escape.directions(runs)
    assert len(each) == 2 * len(runs)
    assert each.groupby("spec", observed=True)["hit"].sum().eq(found).all()


def test_h4a_of_one_direction_each_is_a_shift_of_its_own(monkeypatch):
    """With the trio every run finds one direction where the reference finds none: a single cut at 0.6 sees no difference."""
    given = planted.simulate_h4a(0.0, np.random.default_rng(0))
    depth = given.runs["dials.trap_prior"].map(planted.DEPTHS)
    last = np.where(depth < 7, 0.99, np.where((depth < 9) & given.runs["clip_higher"], 0.58, 0.2))
    found = given._replace(runs=given.runs.assign(last=last))
    assert h4a(found)[0].effect > LN2
    assert decision(h4a(found), "h4a") != "supported"
    monkeypatch.setattr(escape, "CUTS", (0.6,))
    assert h4a(found)[0].effect == pytest.approx(0, abs=1e-6)


def test_h4a_pathways_are_secondary_and_keep_out_of_the_question():
    """A temperature worth two doublings shows in its own row, at depths of the base at temperature 1, and nowhere else."""
    given = planted.simulate_h4a(0.0, np.random.default_rng(0))
    warm = given.runs[given.runs["clip_higher"] & given.runs["seed"].lt(1032)]
    depth = warm["dials.trap_prior"].map(planted.DEPTHS)
    other = warm.assign(
        spec=[f"w{n}" for n in range(len(warm))],
        last=np.where(depth < planted.EDGE + 2 * LN2, 0.99, 0.2),
        **{"settings.temperature": 1.5},
    )
    shallow = pd.DataFrame({"spec": other["spec"], "step": 0, "metric": escape.DEPTH, "value": depth.to_numpy() - 3.0})
    both = given._replace(
        runs=pd.concat([given.runs, other], ignore_index=True),
        curves=pd.concat([given.curves.astype({"spec": str, "metric": str}), shallow]),
    )
    before, after = h4a(given), h4a(both)
    assert after[0].effect == pytest.approx(before[0].effect)
    row = next(v for v in after if "temperature 1.5" in v.estimand)
    assert (row.primary, row.decision) == (False, None)
    assert row.effect == pytest.approx(2 * LN2, abs=0.7)


def test_h4a_takes_only_pairs():
    """Seeds that one arm lacks are left out of both, whatever they did."""
    given = planted.simulate_h4a(0.0, np.random.default_rng(1))
    runs = given.runs.copy()
    extra = (runs["seed"] >= 1016) & runs["clip_higher"]
    runs.loc[extra, "last"] = 0.99
    half = keep(Tables(runs, given.curves), ~((runs["seed"] >= 1016) & ~runs["clip_higher"]))
    plain = keep(given, given.runs["seed"] < 1016)
    found, expected = h4a(half)[0], h4a(plain)[0]
    assert (found.effect, found.low, found.high) == pytest.approx((expected.effect, expected.low, expected.high))
    assert h4a(half)[0].seeds == 16


def test_h4a_one_seed_is_undecided():
    given = planted.simulate_h4a(0.0, np.random.default_rng(0))
    one = keep(given, given.runs["seed"] == 1000)
    found = h4a(one)
    assert found[0].decision in ("undecided", "not_tested")
    assert not np.isfinite([found[0].low, found[0].high]).any()


def test_h4a_text_alone_gives_a_secondary_row():
    rows = [
        {"world": "lm", "task": "trap", "dials.guess_share": share, "seed": seed, **dict.fromkeys(TRIO, on),
         "last": 0.9 if share < 0.9 + 0.03 * on else 0.2}
        for share in (0.85, 0.9, 0.95) for seed in range(1000, 1008) for on in (True, False)
    ]  # fmt: skip
    given = tables(frame(rows))
    found = h4a(given)
    assert set(judge.figures(given, QUESTIONS)) == {"escape_text"}
    assert [(v.level, v.primary, v.decision) for v in found] == [("tiny_lm", False, None)]
    assert found[0].effect > 0.3


def test_a_guarantee_is_refuted_by_its_failures():
    """Half of full VAPO's runs stay where a hundred right answers were to be expected."""
    given = planted.simulate_h4a(0.0, np.random.default_rng(0))
    runs = given.runs.assign(last=np.where(given.runs["seed"] % 2, 0.2, 0.99))
    row = next(v for v in h4a(given._replace(runs=runs)) if "does not find" in v.estimand)
    assert row.effect == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("theta", "expected"), [(0, "supported"), (0.1, "refuted_opposite"), (-0.1, "refuted_opposite")]
)
def test_h4b_both_signs(theta, expected):
    found = h4b(planted.simulate_h4b(theta, np.random.default_rng(0)))
    assert decision(found, "h4b") == expected
    assert found[0].effect == pytest.approx(theta, abs=0.02)


@pytest.mark.parametrize(("gate", "expected"), [(0.2, "supported"), (-0.2, "supported"), (0.04, "not_tested")])
def test_h4b_behind_its_gate(gate, expected):
    """A hundred times the loss moves entropy by 0.2 either way, or by less than matters: then no difference means nothing."""
    found = h4b(planted.simulate_h4b(0, np.random.default_rng(0), gate=gate))
    assert decision(found, "h4b") == expected
    row = next(v for v in found if v.estimand.startswith("gate"))
    assert row.effect == pytest.approx(gate, abs=0.05)
    assert row.seeds == 16
    closed = f"gate closed: {QUESTIONS['h4b'].gate.manipulation} moves the outcome by"
    assert found[0].strata.get(NOTE, "").startswith(closed) == (expected == "not_tested")


def walked(drift: float, rng: np.random.Generator, speed: float = 1.1) -> Tables:
    """An urn: log-odds of two modes as a random walk, wider with the loss; at drift 0 a flow along J alone, until it is good.

    In runs of the gate the loss leaves one mode.
    """
    runs = planted.FORK
    loss = runs["positive_lm_loss"].to_numpy(bool)
    heavy = loss & runs["seed"].isin(gates.SEEDS).to_numpy()
    pace = np.where(loss, speed, 1.0) * np.exp(0.1 * rng.normal(size=len(loss)))
    solved = expit(np.log(0.27 / 0.73) + 0.13 * np.outer(planted.STEPS, pace))
    steps = 0.01 * rng.normal(size=solved.shape) + drift * loss * rng.normal(size=solved.shape)
    share = expit(0.5 * solved + np.cumsum(steps, axis=0) + 3.0 * heavy)
    entropy = -(share * np.log(share) + (1 - share) * np.log1p(-share)) / np.log(2)
    metrics = {
        judge.SOLVED: dict(zip(planted.STEPS, solved, strict=True)),
        judge.ENTROPY: dict(zip(planted.STEPS, entropy, strict=True)),
        "activity/positive_lm_grad_ratio": {planted.study.FORK_STEPS: np.where(loss, 0.1, np.nan)},
    }
    return tables(runs, metrics=metrics)


def test_h4b_flow_is_supported_whatever_the_speed_and_an_urn_is_not():
    """R7: the deterministic flow leaves one entropy; the urn loses entropy where J no longer moves."""
    flow = h4b(walked(0.0, np.random.default_rng(0), speed=2.0))
    assert decision(flow, "h4b") == "supported"
    assert abs(flow[0].effect) < 0.01
    urn = h4b(walked(1.0, np.random.default_rng(0)))
    assert decision(urn, "h4b") == "refuted_opposite"
    assert urn[0].high < -0.05


def test_h4b_compares_at_equal_j_and_not_at_equal_steps():
    """The faster arm is further at every step and has the same entropy at every J."""
    given = walked(0.0, np.random.default_rng(0), speed=1.5)
    found = [v for v in h4b(given) if v.estimand.startswith("entropy at the moment of J")]
    assert len(found) == 2
    assert all(abs(v.effect) < 0.01 for v in found)


def test_h4b_floor_and_runs_that_do_not_get_there():
    given = planted.simulate_h4b(0.0, np.random.default_rng(0))
    weak = given.curves.assign(value=given.curves["value"].where(
        given.curves["metric"] != "activity/positive_lm_grad_ratio", 0.001))  # fmt: skip
    assert decision(h4b(given._replace(curves=weak)), "h4b") == "not_tested"
    for last, seeds, expected in ((1003, 28, "supported"), (1006, 25, "not_tested"), (1031, 0, "not_tested")):
        slow = given.runs.loc[given.runs["positive_lm_loss"] & given.runs["seed"].between(1000, last), "spec"]
        stuck = given.curves["spec"].isin(slow) & (given.curves["metric"] == judge.SOLVED)
        left = given.curves.assign(value=given.curves["value"].where(~stuck, 0.3))
        row = h4b(given._replace(curves=left))[0]
        assert (row.primary, row.seeds, row.decision) == (True, seeds, expected)
        assert row.strata.get(NOTE, "").startswith(f"{seeds} of 32 seeds") == (expected == "not_tested")


def half_life_row(life):
    """What the judge says of half-lives [N] with the loss (rows where it is on) and without."""
    given = planted.simulate_h4b(0.0, np.random.default_rng(0))
    measured = pd.DataFrame({"spec": given.runs["spec"], "step": 0, "metric": judge.PREFIXES, "value": 1.0})
    runs = given.runs.assign(entropy_half_life=life(given.runs["positive_lm_loss"].to_numpy(bool)))
    with_prefixes = given._replace(
        runs=runs, curves=pd.concat([given.curves.astype({"spec": str, "metric": str}), measured])
    )
    assert not [v for v in h4b(given._replace(runs=runs)) if "half-lives" in v.estimand], (
        "no row where nothing was measured"
    )
    return next(v for v in h4b(with_prefixes) if "half-lives" in v.estimand)


def test_half_life_is_a_censored_ratio():
    """Half as long with the loss; two runs keep their entropy to the end and are censored, not dropped."""
    rng = np.random.default_rng(1)

    def life(loss):
        found = np.where(loss, 15.0, 30.0) * np.exp(0.2 * rng.normal(size=len(loss)))
        found[:2] = np.nan
        return found

    row = half_life_row(life)
    assert row.effect == pytest.approx(np.log(0.5), abs=0.15)
    assert row.seeds == 32


@pytest.mark.parametrize("reached", [0, 1])
def test_half_life_where_an_arm_kept_its_entropy_says_so(reached):
    """With the loss no run, or a single one, lost half: there is no ratio, and the row says how many runs did."""
    rng = np.random.default_rng(1)

    def life(loss):
        found = np.where(loss, np.nan, 30.0 * np.exp(0.2 * rng.normal(size=len(loss))))
        found[np.flatnonzero(loss)[:reached]] = 40.0
        return found

    row = half_life_row(life)
    assert np.isnan([row.effect, row.low, row.high]).all()
    assert "runs saw the event" in row.strata[NOTE]


def test_h4b_on_text_at_equal_accuracy():
    rows = [
        {"world": "lm", "task": "routes", "seed": seed, "positive_lm_loss": on}
        for seed in range(6)
        for on in (True, False)
    ]
    runs = frame(rows)
    on = runs["positive_lm_loss"].to_numpy(bool)
    accuracy = {0: 0.3, 10: np.where(on, 0.6, 0.45), 20: 0.7}
    diversity = {0: 0.7, 10: np.where(on, 0.4, 0.6), 20: 0.3}
    given = tables(runs, metrics={"val/pass_at_1": accuracy, "exploration/mode_diversity": diversity})
    found = h4b(given)
    assert [(v.level, v.primary) for v in found] == [("tiny_lm", False)]
    assert found[0].effect == pytest.approx(0.5 - 0.54, abs=1e-6)


def test_nothing_without_rows():
    empty = planted.simulate_h4a(0.0, np.random.default_rng(0))._replace(runs=planted.TRAP.iloc[:0])
    assert judge.score(empty, QUESTIONS, "full") == []
    assert judge.figures(empty, QUESTIONS) == {}


def test_figures_show_their_numbers():
    drawn = judge.figures(planted.simulate_h4a(0.0, np.random.default_rng(0)), QUESTIONS)
    assert set(drawn) == {"escape"}
    data = drawn["escape"].data
    assert len(data) == 2 * len(planted.DEPTHS)
    assert ((data["low"] <= data["share"]) & (data["share"] <= data["high"])).all()
    modes = judge.figures(planted.simulate_h4b(0.0, np.random.default_rng(0)), QUESTIONS)["modes"].data
    assert set(modes["arm"]) >= {"with the loss", "without"}


def test_map_counts_cells_under_half():
    runs = frame({"seed": s, "dials.trap_prior": d, "dials.nearest": k, "last": 0.9 - 0.3 * (d > 1) * (k > 4) - 0.2 * (s == 1)}
                 for s in (0, 1) for d in (0.0, 2.0) for k in (3, 5))  # fmt: skip
    found = cells(runs, "dials.trap_prior", "dials.nearest")
    assert found[["x", "y", "fails"]].values.tolist() == [[0, 3, False], [0, 5, False], [2, 3, False], [2, 5, False]]
    lower = cells(runs.assign(last=runs["last"] - 0.05), "dials.trap_prior", "dials.nearest")
    assert lower["fails"].tolist() == [False, False, False, True]
    assert found["seeds"].tolist() == [2] * 4
    other = frame([{"seed": 0, "dials.trap_prior": d, "dials.nearest": 7, "last": 0.1} for d in (0.0, 0.5, 0.75)])
    assert cells(pd.concat([runs, other]), "dials.trap_prior", "dials.nearest").equals(found)


@pytest.mark.parametrize("question", ["h4a", "h4b"])
def test_a_few_simulations_speak_against_no_claim(question):
    check("h4_exploration", question, 5)
