"""Rows and curves are read as they were planted, in the order asked for."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.rows import at_step, by_seed, crossing, ends, full_vapo, having, series
from tests.calibration.planting import plant

GIVEN = plant(
    [
        {"seed": 0, "steps": 30, "curves": {"x": {0: 1.0, 30: 3.0}, "y": {15: 7.0}}},
        {"seed": 1, "steps": 60, "curves": {"x": {0: 4.0, 30: 5.0, 60: 6.0}}},
        {"seed": 2, "steps": 30, "clip_higher": False, "curves": {"x": {30: 8.0}}},
    ]
)


def test_series_follow_the_order_asked_for():
    specs = GIVEN.runs["spec"].tolist()
    found = series(GIVEN, [specs[2], specs[0]], "x")
    assert found.index.tolist() == [specs[2], specs[0]]
    assert found.columns.tolist() == [0, 30]
    np.testing.assert_array_equal(found.to_numpy(), [[np.nan, 8.0], [1.0, 3.0]])
    assert series(GIVEN, GIVEN.runs["spec"], "no such metric").shape == (3, 0)
    assert series(GIVEN, [], "x").shape == (0, 0)
    unknown = series(GIVEN, ["no such run", specs[0]], "x")
    np.testing.assert_array_equal(unknown.to_numpy(), [[np.nan, np.nan], [1.0, 3.0]])
    with pytest.raises(ValueError, match="asked for twice"):
        series(GIVEN, [specs[0], specs[0]], "x")


def test_series_equal_a_pivot():
    points = GIVEN.curves[GIVEN.curves["metric"] == "x"].astype({"spec": str})
    expected = points.pivot(index="spec", columns="step", values="value").reindex(GIVEN.runs["spec"])
    np.testing.assert_array_equal(series(GIVEN, GIVEN.runs["spec"], "x"), expected)


def test_ends_are_before_the_first_and_after_the_last_step_of_each_run():
    np.testing.assert_array_equal(ends(GIVEN, GIVEN.runs, "x"), [[1, 3], [4, 6], [np.nan, 8]])
    assert np.isnan(ends(GIVEN, GIVEN.runs, "y")).all()
    assert np.isnan(ends(GIVEN, GIVEN.runs, "no such metric")).all()
    assert ends(GIVEN, GIVEN.runs.iloc[:0], "x").shape == (0, 2)


def test_at_step_takes_what_was_measured_last_or_first():
    specs = GIVEN.runs["spec"]
    assert at_step(GIVEN, specs, "x").tolist() == [3, 6, 8]
    assert at_step(GIVEN, specs, "x", last=False).tolist() == [1, 4, 8]


def test_rows_by_what_they_are():
    assert having(GIVEN.runs, full_vapo())["seed"].tolist() == [0, 1]
    assert having(GIVEN.runs, full_vapo("clip_higher"))["seed"].tolist() == [2]
    assert having(GIVEN.runs, {"steps": (60, 90)})["seed"].tolist() == [1]
    assert not len(having(GIVEN.runs, {"no such column": 1}))
    nearly = GIVEN.runs.assign(rate=[0.1 + 1e-9, 0.2, np.nan])
    assert having(nearly, {"rate": 0.1})["seed"].tolist() == [0]
    missing = GIVEN.runs.assign(by=["a", None, "b"], group_sampling=pd.array([True, None, False], "boolean"))
    assert having(missing, {"by": "b"})["seed"].tolist() == [2]
    assert having(missing, {"group_sampling": False})["seed"].tolist() == [2]
    assert having(missing, {"clip_higher": True, "steps": 30.0})["seed"].tolist() == [0]


def test_by_seed_takes_seeds_that_have_all_settings():
    runs = pd.DataFrame({
        "seed": [1, 0, 0, 1, 2, 0], "a": [0.2, 0.1, 0.2, 0.1, 0.1, 0.1], "b": 3, "auc": [4.0, 1.0, 2.0, 3.0, 5.0, 9.0]
    })  # fmt: skip
    wide = by_seed(runs, "a")
    assert wide.to_dict("split") == {"index": [0, 1], "columns": [0.1, 0.2], "data": [[1.0, 2.0], [3.0, 4.0]]}
    assert by_seed(runs, ["a", "b"]).columns.tolist() == [(0.1, 3), (0.2, 3)]


@pytest.mark.parametrize(
    ("values", "place"),
    [([0.2, 0.4, 0.6], 1.5), ([0.6, 0.2, 0.9], 0.0), ([0.1, 0.2, 0.3], np.nan), ([0.1, np.nan, 0.9], 1.0)],
)
def test_crossing_is_the_first_and_linear_between_points(values, place):
    found = crossing(np.arange(3.0), np.array(values), 0.5)
    assert found == pytest.approx(place, nan_ok=True)


def test_reading_leaves_the_tables_alone():
    before = GIVEN.curves.copy()
    series(GIVEN, GIVEN.runs["spec"], "x")
    pd.testing.assert_frame_equal(before, GIVEN.curves)
