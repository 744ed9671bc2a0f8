"""Chances of decisions: hand cases, limits, agreement with the table of METHODS.md, and the spread back from an interval."""

import math

import numpy as np
import pytest

from analysis.verdict.decisions import verdict
from analysis.verdict.power import OUTCOMES, power, spread_of, table_row
from analysis.verdict.questions import Floor, Question

QUESTION = Question("h1b", "?", "theta", "AUC", "positive", 0.1, "walk", (), Floor("activity", 0.2))


def test_chances_add_up_and_follow_theta():
    for theta in (-0.2, 0.0, 0.1, 0.3):
        assert sum(power(theta, 0.1, 32, 0.1)) == pytest.approx(1)
    assert power(0.5, 0.1, 32, 0.1).supported > 0.999
    assert power(-0.5, 0.1, 32, 0.1).refuted_opposite > 0.999
    assert power(0.0, 0.01, 32, 0.1).refuted_negligible > 0.999
    assert power(0.0, 5.0, 32, 0.1).undecided > 0.99


def test_at_the_threshold_nothing_is_decided_more_often_than_the_level_allows():
    at = power(0.1, 0.1, 32, 0.1)
    assert at.supported < 0.005
    assert at.refuted_negligible < 0.005


@pytest.mark.parametrize(("replicates", "ratio"), [(10, 1.80), (16, 1.25), (32, 0.85), (64, 0.55)])
def test_the_table_of_smallest_thresholds(replicates, ratio):
    """METHODS.md, section 1: delta over the sd of a paired difference at which both targets of 80 % are just met."""
    spread = 0.1 / ratio
    least = min(power(0.2, spread, replicates, 0.1).supported, power(0.0, spread, replicates, 0.1).refuted_negligible)
    assert 0.78 < least < 0.9


def test_a_prediction_of_no_difference():
    assert power(0.0, 0.1, 64, 0.1, equivalence=True).supported > 0.9
    beyond = power(-0.5, 0.1, 64, 0.1, equivalence=True)
    assert beyond.refuted_opposite > 0.99
    assert beyond.refuted_negligible == 0


def test_the_spread_comes_back_from_the_interval():
    theta = np.random.default_rng(3).normal(0.2, 0.15, 12)
    row = verdict(QUESTION, "walk", theta, "pilot")
    assert row.primary
    assert spread_of(row) == pytest.approx(theta.std(ddof=1), rel=1e-6)
    assert math.isnan(spread_of(row._replace(low=math.nan)))
    assert math.isnan(spread_of(row._replace(seeds=1)))


def test_a_row_of_the_table():
    row = verdict(QUESTION, "walk", [0.3, 0.5, 0.4, 0.45], "pilot")._replace(activity=0.3, mean_length=12.0)
    line = table_row(row, 64, False, 0.2)
    assert line["planned_replicates"] == 64
    assert line["supported at pilot"] > 0.99
    assert line["refuted_negligible at 0"] > 0.99
    assert {f"{outcome} at 2 delta" for outcome in OUTCOMES} <= set(line)
    lacking = table_row(row._replace(low=math.nan, high=math.nan), 64, False, 0.2)
    assert "supported at pilot" not in lacking


def test_more_replicates_decide_more():
    shares = [power(0.2, 0.3, n, 0.1).undecided for n in (8, 32, 128)]
    assert shares == sorted(shares, reverse=True)
