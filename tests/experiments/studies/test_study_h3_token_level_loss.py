"""Study of limitation 3: which runs, on which seeds, and that judge and runs mean the same cells."""

import numpy as np
import pytest

from analysis.hypotheses.h3_token_level_loss import judge
from analysis.hypotheses.h3_token_level_loss.tables import (
    CELLS,
    COVARIANCE,
    KL,
    NOISE,
    PLACES,
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
from tests.support.listed import names_of, runs_of
from vapo_core.probes import METRICS


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = runs_of("h3_token_level_loss", preset)
    assert len(set(names_of("h3_token_level_loss", preset))) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)


def test_judge_finds_every_declared_cell():
    given: Tables = tables(frame_of([*study.walk("full"), *study.text("full")]))
    assert {cell: len(walks(given, cell)) for cell in CELLS} == {cell: len(study.SEEDS[cell]["full"]) for cell in CELLS}
    assert {task: len(texts(given, task)) for task in TASKS} == dict.fromkeys(
        core.TASKS["lm"], len(study.SEEDS["text"]["full"])
    )
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
        *NOISE,
        *(f"gradient_quality/{x[0]}" for x in judge.BESIDE.values()),
    } <= set(METRICS)
    for spec in study.walk("full"):
        if "trap_prior" in spec.task.dials:
            assert set(spec.probes) == {"curvature"}
        else:
            shared = {"curvature", "gradient_quality"} if spec.seed in study.SEEDS["wanders"]["full"] else set()
            assert set(spec.probes) == {"kl_per_gain", *shared}
    assert all("gradient_quality" in spec.probes for spec in study.text("full"))


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_declared_place_is_measured(preset):
    """Steps at which a probe is due: multiples of its interval, and the last one."""
    for spec in (*study.walk(preset), *study.text(preset)):
        assert spec.steps == PLACES[-1]
        for name, every in spec.probes.items():
            due = {step for step in range(spec.steps + 1) if step % every == 0}
            assert due == set(PLACES if name != "kl_per_gain" or spec.world == "walk" else (0, PLACES[-1]))


def test_seeds_of_both_cells_are_paired():
    for preset in core.PRESETS:
        assert set(study.SEEDS["wanders"][preset]) <= set(study.SEEDS["stops early"][preset])
    priced = {spec.seed for spec in study.text("full") if "kl_per_gain" in spec.probes}
    assert priced == set(range(1000, 1000 + study.PRICED["full"]))


def test_smoke_runs_are_judged(tmp_path, smoke_runs):
    """From specs to verdicts: one seed of both cells has an estimate and no bounds."""
    chosen = [spec for spec in study.walk("smoke") if spec.seed == 0]
    for spec in chosen:
        run_one(spec, smoke_runs, "h3")
    assert collect(chosen, smoke_runs, tmp_path / "out") == 2
    found = judge.score(load(tmp_path / "out"), questions.QUESTIONS, "smoke")
    primary = {row.question: row for row in found if row.primary}
    assert set(primary) <= {"h3a", "h3c"}
    assert primary["h3c"].decision in ("undecided", "not_tested")
    assert np.isfinite(primary["h3c"].effect)
    assert {row.question for row in found} == {"h3a", "h3b", "h3c"}
