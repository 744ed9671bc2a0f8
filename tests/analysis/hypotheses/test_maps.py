"""Every failure-boundary map that a study declares is drawn from its runs, cell by cell, and found by the page."""

from importlib import import_module

import numpy as np
import pytest

from analysis.report.study_page import is_map
from experiments.studies import boundaries, find
from tests.calibration.planting import frame_of, tables

MAPS = {
    "h2_length_adaptive_gae": ({"map"}, ("DECISIONS", "FILLER"), ("dials.nearest", "dials.filler")),
    "h4_exploration": ({"escape_map"}, ("MAP_DEPTHS", "MAP_DECISIONS"), ("dials.trap_prior", "dials.nearest")),
    "h7_credit_assignment": (
        {"map_last", "map_precision"}, ("MAP_WAYPOINTS", "MAP_FILLER"), ("dials.sparsity", "dials.filler"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("stem", MAPS)
def test_each_declared_cell_is_on_the_map(stem, preset):
    names, axes, dials = MAPS[stem]
    judge, study = import_module(f"analysis.hypotheses.{stem}"), import_module(f"experiments.studies.{stem}.runs")
    runs = frame_of(study.boundary(preset))
    x, y = (runs[dial].to_numpy(float) for dial in dials)
    score = np.where(x + y > np.median(x + y), 0.2, 0.9)
    metrics = {"credit/precision_at_1": {int(runs["steps"].iloc[0]): 1 - score}, "exploration/exact_depth": {0: x}}
    drawn = judge.figures(tables(runs, {"last": score}, metrics), find(stem).QUESTIONS)
    assert {name for name in drawn if is_map(name)} == names
    wanted = {(a, b) for a in getattr(study, axes[0]).of(preset) for b in getattr(study, axes[1]).of(preset)}
    for name in names:
        cells = drawn[name].data
        shown = 1 - score if name == "map_precision" else score
        means = {(a, b): float(np.mean(shown[(x == a) & (y == b)])) for a, b in wanted}
        assert {(row.x, row.y): row.mean for row in cells.itertuples()} == pytest.approx(means)
        assert (cells["fails"] == (cells["mean"] < 0.5)).all()
        assert (cells["seeds"] == boundaries.SEEDS[preset]).all()
