"""From intervals to verdicts: every case of the rule, its edges, and the rates of error it promises."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.detectable import smallest_detectable
from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.verdict.decisions import CORRECTED, NOTE, Verdict, decide, from_interval, verdict
from analysis.verdict.estimates import by_interval
from analysis.verdict.questions import Floor, Question

DELTA = 0.1


def asked(**fields):
    words = {
        "id": "h9a", "question": "Is it?", "estimand": "what is", "unit": "AUC", "prediction": "yes", "threshold": DELTA,
        "primary": "walk", "also": ("tiny_lm",), "floor": Floor("share", 0.1),
    }  # fmt: skip
    return Question(**{**words, **fields})


def spanning(low, high):
    return Interval((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("low", "high", "plain", "equivalence"),
    [
        (0.11, 0.30, "supported", "refuted_opposite"),
        (-0.30, -0.11, "refuted_opposite", "refuted_opposite"),
        (-0.09, 0.09, "refuted_negligible", "supported"),
        (0.02, 0.09, "refuted_negligible", "supported"),
        (-0.09, -0.02, "refuted_negligible", "supported"),
        (0.05, 0.20, "undecided", "undecided"),
        (-0.20, 0.05, "undecided", "undecided"),
        (-0.20, 0.20, "undecided", "undecided"),
        (0.10, 0.20, "undecided", "undecided"),
        (-0.10, 0.05, "undecided", "undecided"),
        (-0.05, 0.10, "undecided", "undecided"),
        (-0.20, -0.10, "undecided", "undecided"),
        (np.nan, np.nan, "undecided", "undecided"),
        (0.11, np.inf, "supported", "refuted_opposite"),
        (-np.inf, 0.05, "undecided", "undecided"),
        (-np.inf, -0.11, "refuted_opposite", "refuted_opposite"),
        (-np.inf, np.inf, "undecided", "undecided"),
    ],
)
def test_every_place_an_interval_can_have(low, high, plain, equivalence):
    """Bounds on the threshold itself decide nothing: above and inside are strict. An open end can support, not bound."""
    interval = Interval(0.0, low, high)
    assert decide(interval, DELTA) == plain
    assert decide(interval, DELTA, equivalence=True) == equivalence
    assert decide(interval, DELTA, tested=False) == decide(interval, DELTA, True, False) == "not_tested"


def test_the_mirror_image_gets_the_mirrored_decision():
    """Supported and opposite swap; negligible, undecided and every decision on equivalence stay."""
    swap = {"supported": "refuted_opposite", "refuted_opposite": "supported"}
    for low, high in np.sort(np.random.default_rng(0).uniform(-0.25, 0.25, (200, 2)), axis=1):
        one, other = spanning(low, high), spanning(-high, -low)
        assert decide(other, DELTA) == swap.get(decide(one, DELTA), decide(one, DELTA))
        assert decide(other, DELTA, True) == decide(one, DELTA, True)


def test_a_wider_interval_never_decides_otherwise():
    """Widening leads to undecided, never from one decision to another."""
    for low, high in np.sort(np.random.default_rng(1).uniform(-0.25, 0.25, (200, 2)), axis=1):
        for equivalence in (False, True):
            tight = decide(spanning(low, high), DELTA, equivalence)
            assert decide(spanning(low - 0.05, high + 0.03), DELTA, equivalence) in (tight, "undecided")


def test_a_wrong_decision_needs_an_interval_that_misses():
    """Whatever holds theta decides nothing that is false of theta."""
    rng = np.random.default_rng(2)
    for low, high in np.sort(rng.uniform(-0.25, 0.25, (300, 2)), axis=1):
        theta = rng.uniform(low, high)
        true_of = {
            "supported": theta > DELTA, "refuted_opposite": theta < -DELTA, "refuted_negligible": abs(theta) < DELTA,
            "undecided": True,
        }  # fmt: skip
        assert true_of[decide(spanning(low, high), DELTA)]


def test_the_level_is_one_minus_five_percent_over_sixteen():
    assert pytest.approx(0.996875) == CORRECTED
    assert stats.norm.ppf((1 + CORRECTED) / 2) == pytest.approx(2.955, abs=0.001)


# --- verdicts ---


def test_a_primary_verdict_carries_the_corrected_interval():
    theta = np.random.default_rng(0).normal(0.3, 0.1, 32)
    found = verdict(asked(), "walk", theta, "full")
    assert (found.effect, found.low, found.high) == pytest.approx(student(theta, CORRECTED))
    assert found == Verdict(
        "h9a", "walk", found.effect, "AUC", found.low, found.high, DELTA, 32, "supported", True, "full",
        smallest_detectable(theta, DELTA, CORRECTED), {}, "what is",
    )  # fmt: skip


@pytest.mark.parametrize(("level", "estimand"), [("tiny_lm", ""), ("walk", "something else"), ("exact", "")])
def test_secondary_rows_have_plain_intervals_and_no_verdict(level, estimand):
    theta = np.random.default_rng(0).normal(0.3, 0.1, 32)
    found = verdict(asked(), level, theta, "full", estimand=estimand)
    assert (found.decision, found.primary) == (None, False)
    assert (found.effect, found.low, found.high) == pytest.approx(student(theta, 0.95))
    assert found.smallest_detectable == smallest_detectable(theta, DELTA, 0.95)
    assert found.estimand == (estimand or "what is")


@pytest.mark.parametrize(
    ("centre", "decision"), [(0.3, "refuted_opposite"), (0.0, "supported"), (-0.3, "refuted_opposite")]
)
def test_equivalence_is_taken_from_the_question(centre, decision):
    theta = np.random.default_rng(0).normal(centre, 0.1, 32)
    assert verdict(asked(equivalence=True), "walk", theta, "full").decision == decision


def test_below_the_floor_nothing_is_tested_whatever_the_effect():
    found = verdict(asked(), "walk", np.full(9, 5.0) + np.arange(9) / 9, "full", tested=False)
    assert found.decision == "not_tested"
    assert found.effect > 5, "the estimate is shown"


def test_one_replicate_has_an_estimate_and_decides_nothing():
    found = verdict(asked(), "walk", [3.0], "quick")
    assert (found.effect, found.seeds, found.decision) == (3.0, 1, "undecided")
    assert np.isnan([found.low, found.high, found.smallest_detectable]).all()


def test_a_verdict_from_an_interval_found_elsewhere():
    found = from_interval(
        asked(), "walk", Interval(0.2, 0.15, np.inf), 12, "full", 0.4, True, strata={"a": {"effect": 1.0}}
    )
    assert (found.decision, found.effect, found.high) == ("supported", 0.2, np.inf)
    assert (found.smallest_detectable, found.strata) == (0.4, {"a": {"effect": 1.0}})
    assert from_interval(asked(), "walk", Interval(0.2, 0.15, 0.3), 12, "full", 0.4, False).decision is None


def test_verdicts_do_not_share_their_strata():
    one, other = (from_interval(asked(), "walk", Interval(0, -1, 1), 2, "full", 0.4, True) for _ in range(2))
    one.strata["a"] = 1
    assert other.strata == {}


# --- the rates METHODS.md asks for ---


def test_errors_and_power_with_thirty_two_seeds():
    """Threshold 0.85 sd of a paired difference, METHODS.md's smallest for 32 seeds corrected: false support and false
    negligible at delta hardly ever, support at twice delta and negligible at 0 in 80 %."""
    rng, question = np.random.default_rng(0), asked(threshold=0.85)
    counted = {
        at: [verdict(question, "walk", rng.normal(at * 0.85, 1, 32), "full").decision for _ in range(500)]
        for at in (0, 1, 2)
    }
    share = {at: {d: found.count(d) / 500 for d in set(found)} for at, found in counted.items()}
    assert share[1].get("supported", 0) < 0.01
    assert share[1].get("refuted_negligible", 0) < 0.01
    assert share[2]["supported"] > 0.8
    assert share[0]["refuted_negligible"] > 0.8


def test_replicates_that_are_all_alike_decide_nothing():
    """Every seed at the ceiling of both arms: an interval without width is no certainty. Rounding is no width either."""
    for value in (0.0, 0.3, -0.3):
        for theta in (np.full(32, value), value + 1e-17 * np.arange(32)):
            for equivalence in (False, True):
                found = verdict(asked(equivalence=equivalence), "walk", theta, "full")
                assert (found.effect, found.decision) == (pytest.approx(value), "undecided")
                assert "32 replicates are equal" in found.strata[NOTE]
                assert np.isnan(found.smallest_detectable)
    assert decide(Interval(0.3, 0.3, 0.3), DELTA, tested=False) == "not_tested"
    assert verdict(asked(), "tiny_lm", np.zeros(32), "full").strata == {}, "a secondary row decides nothing anyway"
    assert verdict(asked(), "walk", 1e-6 * np.arange(32), "full").decision == "refuted_negligible"


def test_a_number_that_cannot_be_had_says_why():
    def none_at(level: float) -> Interval:
        raise NoEstimate("2 of 9 runs saw the event")

    found = by_interval(asked(), "walk", none_at, 9, "full")
    assert (found.decision, found.seeds) == ("undecided", 9)
    assert np.isnan([found.effect, found.low, found.high, found.smallest_detectable]).all()
    assert found.strata == {NOTE: "no estimate: 2 of 9 runs saw the event"}
    assert by_interval(asked(), "walk", none_at, 9, "full", tested=False).decision == "not_tested"
