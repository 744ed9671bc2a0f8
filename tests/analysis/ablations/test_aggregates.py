"""Aggregates of an ablation's runs: by hand, their counts, their figure's numbers."""

import numpy as np
import pandas as pd
import pytest

from analysis.ablations.aggregates import aggregate_rows, aggregates_table, profiles
from tests.analysis.ablations.test_joined import _runs

SCORES = {"vapo": [0.1, 0.4, 0.6, 0.9], "ppo": [0.65] * 5, "grpo": [0.9, 0.9, 0.9]}


@pytest.fixture
def table() -> pd.DataFrame:
    return aggregates_table(_runs(SCORES), list(SCORES), "vapo")


def test_interquartile_mean_and_probability_by_hand(table):
    """Of 0.1, 0.4, 0.6, 0.9 the middle two are left; 0.65 beats three of the four."""
    rows = table.set_index("arm")
    assert rows.loc["vapo", "iqm"] == pytest.approx(0.5)
    assert 0.1 <= rows.loc["vapo", "iqm_low"] < 0.5 < rows.loc["vapo", "iqm_high"] <= 0.9
    assert rows.loc["ppo", ["iqm", "iqm_low", "iqm_high", "better"]].tolist() == pytest.approx([0.65, 0.65, 0.65, 0.75])
    assert np.isnan(rows.loc["vapo", "better"])


def test_three_seeds_are_too_few(table):
    assert list(table["arm"]) == ["vapo", "ppo"]


def test_counts_stand_beside_the_numbers(table):
    assert [row.seeds for row in aggregate_rows(table)] == ["4 of 5", "5 of 5"]


def test_the_same_interval_every_time(table):
    pd.testing.assert_frame_equal(table, aggregates_table(_runs(SCORES), list(SCORES), "vapo"))


def test_a_profile_falls_from_all_runs_to_none():
    drawing = profiles(_runs(SCORES), ["vapo", "ppo"], "vapo")
    own = drawing.data[drawing.data["arm"] == "ppo"].set_index("threshold")["share"]
    assert (own[own.index < 0.649] == 1).all()
    assert (own[own.index > 0.651] == 0).all()
    vapo = drawing.data[drawing.data["arm"] == "vapo"].set_index("threshold")["share"]
    assert set(vapo) == {1.0, 0.75, 0.5, 0.25, 0.0}
