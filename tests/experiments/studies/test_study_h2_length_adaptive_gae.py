"""Study of limitation 2: which runs, on which seeds, and that judge and runs mean the same cells."""

import numpy as np
import pytest

from analysis.hypotheses.h2_length_adaptive_gae import judge
from analysis.hypotheses.h2_length_adaptive_gae import tables as lambda_rules
from analysis.hypotheses.h2_length_adaptive_gae.tables import grids
from analysis.tables.rows import full_vapo, having
from analysis.tables.schema import load
from analysis.verdict import gates
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.h2_length_adaptive_gae import questions as questions
from experiments.studies.h2_length_adaptive_gae import runs as study
from tests.calibration.planting import frame_of, tables
from tests.support.listed import names_of, trained_of
from vapo_core.tasks import make_task


def tables_of(specs):
    """Tables of runs that all came out alike."""
    return tables(frame_of(specs))


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once(preset):
    names = names_of("h2_length_adaptive_gae", preset)
    assert len(set(names)) == len(names)


def test_alphas_and_constants_have_equal_horizons():
    """The form is compared, not how finely either was searched."""
    assert lambda_rules.HORIZONS == study.HORIZONS
    for horizon in study.HORIZONS:
        adaptive, constant = (study.cell("full", 1000, "mixed", horizon, rule) for rule in (True, False))
        assert 1 / (1 - constant.settings.fixed_lambda) == pytest.approx(horizon)
        assert adaptive.settings.alpha * study.WHOLE_LENGTH == pytest.approx(horizon)
        assert adaptive.task == constant.task


def test_judge_finds_every_declared_cell():
    judged, gate = gates.split(tables_of(trained_of("h2_length_adaptive_gae", "full")))
    runs = judged.runs
    for regime, seeds in (("mixed", study.SEEDS["full"]["mixed"]), ("short", 24), ("long", 24)):
        table = grids(having(runs, {**judge.RING, **judge.between(regime)}))
        assert (table.adaptive.shape, table.constant.shape) == ((seeds, 7), (seeds, 7))
    assert judge._gate(gate).seeds == study.SEEDS["full"]["gate"]
    found = [row for row in judge._derived(judged, questions.QUESTIONS["h2b"], "full") if row.seeds == 16]
    assert len(found) == len(judge.FILLERS)
    for name, (_, variants) in judge.OTHERS.items():
        part = having(runs, {**judge.RING, **full_vapo(), "variants": variants})
        assert len(part) == 32 * (1 if name == "error_aware" else 3)
    text = grids(having(runs, {"world": "lm"}), study.TEXT_ALPHAS, study.TEXT_LAMBDAS)
    assert (text.adaptive.shape, text.constant.shape) == (
        (study.SEEDS["full"]["text"], 3),
        (study.SEEDS["full"]["text"], 3),
    )
    assert set(judge.COARSE) == {h / study.WHOLE_LENGTH for h in study.COARSE}


def test_regimes_hold_the_lengths_they_say():
    """Mixed problems span an 8-fold range; short and long ones do not overlap."""

    def difficulties(regime):
        spec = study.cell("full", 1000, regime, 8, True)
        return {p.difficulty for p in make_task(spec.task.name, spec.task.dials).problems["train"]}

    assert max(difficulties("short")) < min(difficulties("long"))
    mixed = difficulties("mixed")
    assert (min(mixed), max(mixed)) == (8, 63)


def test_core_cells_are_shared_on_text():
    own = {spec.hash for spec in study.text("full")}
    assert len([spec for spec in core.lm("full") if spec.hash in own]) == 2 * study.SEEDS["full"]["text"]


def test_smoke_runs_are_judged(tmp_path, smoke_runs):
    chosen = [spec for spec in study.walk("smoke") if spec.task.dials["nearest"] == 8]
    chosen = [spec for spec in chosen if spec.task.dials["farthest"] == 64 and not spec.variants]
    for spec in chosen:
        run_one(spec, smoke_runs, "h2_length_adaptive_gae")
    collect(chosen, smoke_runs, tmp_path / "tables")
    made = load(tmp_path / "tables")
    found = [v for v in judge.score(made, questions.QUESTIONS, "smoke") if v.primary and v.level == "walk"]
    assert len(found) == 1
    assert found[0].seeds == 2
    assert np.isfinite(found[0].effect)
    assert "horizons" in judge.figures(made, questions.QUESTIONS)
