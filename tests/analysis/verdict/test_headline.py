"""A notebook's first lines: a contradicted prediction is said first and in capitals, whichever way it is contradicted."""

import pytest

from analysis.verdict.decisions import CONTRADICTED, NOTE
from analysis.verdict.headline import component_lines, digits, estimate, headline
from experiments.studies.components import questions as components_questions
from experiments.studies.h4_exploration import questions as h4_exploration_questions
from experiments.studies.h7_credit_assignment import questions as h7_credit_assignment_questions
from tests.support.outcome_folders import row

EFFECT = h7_credit_assignment_questions.QUESTIONS
EQUAL = h4_exploration_questions.QUESTIONS


@pytest.mark.parametrize(
    ("questions", "name", "centre", "contradicted", "said"),
    [
        (EFFECT, "h7a", 3.0, False, "supported; the data agree with the prediction"),
        (EFFECT, "h7a", -3.0, True, "refuted: opposite; the data contradict the prediction"),
        (EFFECT, "h7a", 0.0, True, "refuted: negligible; the data contradict the prediction"),
        (EFFECT, "h7a", 1.0, False, "undecided; the data are inconclusive"),
        (EQUAL, "h4a", 0.0, False, "supported; the data agree with the prediction"),
        (EQUAL, "h4a", 3.0, True, "refuted: a difference; the data contradict the prediction"),
        (EQUAL, "h4a", -3.0, True, "refuted: a difference; the data contradict the prediction"),
    ],
)
def test_planted_in_both_directions(questions, name, centre, contradicted, said):
    first, second = headline([row(questions[name], centre, "full")], questions)
    line = first if name in first.split(":")[0] else second
    assert said in line
    assert line.startswith("PREDICTION CONTRADICTED") == contradicted
    assert ("PREDICTION CONTRADICTED" in first) == contradicted, "contradictions come first"
    assert "no verdict yet" in first + second


def test_where_and_how_much():
    (line, _) = headline([row(EFFECT["h7b"], -3.0, "quick")._replace(decision="refuted_opposite")], EFFECT)
    assert "(walk, preset quick, 3 seeds: -0.60 [" in line
    assert line.endswith("exponent, threshold 0.2).")


def test_secondary_rows_say_nothing():
    beside = row(EFFECT["h7a"], -3.0, "full", "walk")
    assert beside.decision is None
    assert all("no verdict yet" in line for line in headline([beside], EFFECT))


def test_secondary_rows_of_which_something_else_was_predicted_come_after_refuted_primaries():
    beside = row(EFFECT["h7a"], 1.0, "full", "walk")._replace(strata={NOTE: f"{CONTRADICTED}: 1 was predicted"})
    plain = beside._replace(strata={NOTE: "a remark"})
    lines = headline([plain, beside, row(EFFECT["h7b"], 3.0, "full"), row(EFFECT["h7a"], 3.0, "full")], EFFECT)
    assert [line[:12] for line in lines] == ["PREDICTION C", "Also for h7a", "h7a: support"]
    assert lines[1].endswith(f"; {CONTRADICTED}: 1 was predicted.")


def test_not_tested_is_no_contradiction():
    line = headline([row(EFFECT["h7a"], 0.0, "full")._replace(decision="not_tested")], EFFECT)[0]
    assert line.startswith("h7a: not tested")


@pytest.mark.parametrize(
    ("x", "threshold", "text"),
    [
        (0.123456, 0.1, "0.12"),
        (0.123456, 0.02, "0.123"),
        (1.23456, 0.693, "1.23"),
        (12.3, 5.0, "12.3"),
        (float("nan"), 0.1, "–"),
    ],
)
def test_digits_follow_the_threshold(x, threshold, text):
    assert digits(x, threshold) == text


def test_why_nothing_is_decided_stands_behind_it():
    noted = row(EFFECT["h7a"], 1.0, "full")._replace(decision="undecided", strata={NOTE: "all 9 replicates are equal"})
    lines = [line for line in headline([noted], EFFECT) if line.startswith("h7a")]
    assert lines[0].endswith("threshold 0.25). Note: all 9 replicates are equal.")


def test_an_estimate_without_an_interval():
    alone = row(EFFECT["h7a"], 1.0, "full")._replace(low=float("nan"), high=float("nan"))
    assert estimate(alone) == "0.25"


def test_components_say_whether_the_sign_is_the_papers():
    own = components_questions.QUESTIONS
    rows = [
        row(own["value_pretraining"], 3.0, "full", estimand=own["value_pretraining"].estimand),
        row(own["clip_higher"], -3.0, "full", estimand=own["clip_higher"].estimand),
        row(own["group_sampling"], -3.0, "full", estimand=own["group_sampling"].estimand)._replace(
            decision="not_tested"
        ),
    ]
    first, second, third = component_lines(rows, own)
    assert first.startswith("SIGN OPPOSITE TO THE PAPER'S, clip_higher: worth -0.060 [")
    assert second.startswith("value_pretraining: worth 0.060 [")
    assert second.endswith("the paper lost 49 points without it.")
    assert "group_sampling: had too little to do" in third
