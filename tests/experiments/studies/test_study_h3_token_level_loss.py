"""Study of limitation 3: which runs, on which seeds, and that judge and runs mean the same cells."""

import numpy as np
import pytest

from analysis.hypotheses.h3_token_level_loss import judge
from analysis.hypotheses.h3_token_level_loss.tables import (
    CELLS,
    COVARIANCE,
    KL,
    RATIO,
    TASKS,
    USEFUL,
    texts,
    walks,
)
from analysis.tables.schema import Tables, load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.h3_token_level_loss import questions as questions
from experiments.studies.h3_token_level_loss import runs as study
from tests.calibration.planting import frame_of, tables
from vapo_core.probes import METRICS


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = study.specs(preset)
    assert len({spec.hash for spec in specs}) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)


def test_judge_finds_every_declared_cell():
    given: Tables = tables(frame_of([*study.walk("full"), *study.text("full")]))
    assert {cell: len(walks(given, cell)) for cell in CELLS} == dict.fromkeys(study.CELLS, 96)
    assert {task: len(texts(given, task)) for task in TASKS} == dict.fromkeys(core.TASKS["lm"], 96)
    for cell, dials in study.CELLS.items():
        assert CELLS[cell] == dials.get("trap_prior", 0.0)


def test_judge_reads_what_probes_log():
    """Names, and that each is measured where it is read."""
    assert {
        RATIO,
        COVARIANCE,
        KL,
        f"{KL}_mc",
        *USEFUL,
        *(f"gradient_quality/{x[0]}" for x in judge.BESIDE.values()),
    } <= set(METRICS)
    read = {name.split("/")[0] for name in (RATIO, KL, *USEFUL)}
    for spec in study.walk("full"):
        assert set(spec.probes) == (read if "trap_prior" not in spec.task.dials else {"curvature"})
    assert all("gradient_quality" in spec.probes for spec in study.text("full"))


def test_text_is_the_core_tables_own_and_further_seeds():
    core_runs = {spec.hash for spec in core.lm("full")}
    shared = [spec for spec in study.text("full") if spec.hash in core_runs]
    assert len(shared) == 2 * 32
    quick, core_quick = study.text("quick"), {spec.hash for spec in core.lm("quick")}
    assert len([spec for spec in quick if spec.hash in core_quick]) == 2 * 3
    assert {spec.seed for spec in quick if spec.hash not in core_quick} == set(range(3, 8))


def test_smoke_runs_are_judged(tmp_path):
    """From specs to verdicts: one seed of both cells has an estimate and no bounds."""
    chosen = [spec for spec in study.walk("smoke") if spec.seed == 0]
    for spec in chosen:
        run_one(spec, tmp_path, "h3")
    assert collect(chosen, tmp_path, tmp_path / "out") == 2
    found = judge.score(load(tmp_path / "out"), questions.QUESTIONS, "smoke")
    primary = {row.question: row for row in found if row.primary}
    assert set(primary) <= {"h3a", "h3c"}
    assert primary["h3c"].decision in ("undecided", "not_tested")
    assert np.isfinite(primary["h3c"].effect)
    assert {row.question for row in found} == {"h3a", "h3b", "h3c"}
