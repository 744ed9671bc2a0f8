"""Study of limitation 6: which runs, on which seeds, and that judge and runs mean the same cells."""

import pytest

from analysis.hypotheses.components.cells import Cells
from analysis.hypotheses.h6_interactions import judge
from analysis.hypotheses.h6_interactions.tables import PARTS
from analysis.tables.regimes import of_length, rows
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.components import runs as components
from experiments.studies.h6_interactions import questions as questions
from experiments.studies.h6_interactions import runs as study
from tests.calibration.planting import frame_of
from tests.support.listed import names_of, runs_of
from vapo_core.probes import METRICS
from vapo_core.settings import COMPONENTS


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = runs_of("h6_interactions", preset)
    assert len(set(names_of("h6_interactions", preset))) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)


def test_updates_are_of_the_regime_that_is_judged():
    """The same dials, settings and steps; J is known before every large update."""
    assert study.REGIME == judge.UPDATES
    made = study.updates("full")
    runs = frame_of(made)
    assert len(rows(runs, judge.UPDATES)) == len(runs) == study.SEEDS["full"]
    assert {spec.evaluation.every for spec in made} == {spec.probes["large_update"] for spec in made} == {1}
    assert {spec.steps for spec in made} == {study.STEPS}


def test_the_pair_has_its_corners_at_the_longest_answers():
    listed = {spec.hash for spec in study.combinations("full")}
    made = list(components.of_cells("triple", "full", of_length(128), components.pair_cells()))
    assert {spec.hash for spec in made} <= listed
    cells = judge.corners(Cells(frame_of(made)), of_length(128), *judge.PAIR)
    assert cells.shape == (components.SIZES["triple"].full, 16)
    assert set(judge.PAIR) <= set(COMPONENTS)


def test_the_studys_runs_are_the_component_studys():
    """Nothing of h6b is run twice."""
    own = {spec.hash for spec in study.combinations("quick")}
    assert own <= set(names_of("components", "quick"))


def test_judge_reads_what_probes_log():
    assert {f"large_update/{name}" for name in PARTS} <= set(METRICS)
    assert {"improvement/delta_j", "improvement/predicted"} <= set(METRICS)
    assert all({"large_update", "improvement"} <= set(spec.probes) for spec in study.updates("full"))
    assert all("improvement" in spec.probes for spec in study.text_updates("full"))


def test_a_smoke_run_is_measured_at_every_update(tmp_path):
    """From a spec to its metrics; smoke's settings are no regime's, so nothing is judged."""
    chosen = study.updates("smoke")[:1]
    run_one(chosen[0], tmp_path, "h6")
    assert collect(chosen, tmp_path, tmp_path / "out") == 1
    metrics = set(load(tmp_path / "out").curves["metric"])
    assert {f"large_update/{name}" for name in PARTS} <= metrics
