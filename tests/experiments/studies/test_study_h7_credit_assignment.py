"""Study of limitation 7: which runs, on which seeds, and that judge and runs mean the same cells."""

import pytest

from analysis.hypotheses.h7_credit_assignment import judge
from analysis.hypotheses.h7_credit_assignment.tables import Blame
from analysis.tables.rows import full_vapo, having
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.h2_length_adaptive_gae import runs as adaptation
from experiments.studies.h7_credit_assignment import questions as study_questions
from experiments.studies.h7_credit_assignment import runs as study
from tests.calibration.planting import frame_of


def trained(preset):
    return [spec for spec in study.specs(preset) if spec.world != "exact"]


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = trained(preset)
    assert len({spec.hash for spec in specs}) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)


def test_horizons_are_matched():
    """A step has four tokens, so lambda per step is the fourth power: else steps would win by a longer horizon."""
    token, step = (study.credited("full", 1000, 5, arm) for arm in study.CREDIT_ARMS[:2])
    tokens = 1 + study.STEPPED["filler"]
    assert step.settings.fixed_lambda == pytest.approx(token.settings.fixed_lambda**tokens)
    assert step.variants == {"credit": "step_level", "values": "fresh_error"}
    assert token.variants == {"values": "fresh_error"}
    assert token.task == step.task


def test_judge_finds_every_declared_cell():
    runs = frame_of(trained("full"))
    for error in (0.1, 0.0):
        for lam, by_step in ((judge.TOKEN_LAMBDA, False), (judge.STEP_LAMBDA, True)):
            part = judge.arm(runs, error, lam, by_step)
            assert part.groupby(judge.DECISIONS)["seed"].nunique().to_dict() == dict.fromkeys(study.DECISIONS, 32)
    assert len(judge.arm(runs, 0.1, judge.TOKEN_LAMBDA, True)) == 3 * 32
    for off, name in (((), "settings.alpha"), (("length_adaptive_gae",), "settings.fixed_lambda")):
        own = {"settings.alpha": 0.5, "settings.fixed_lambda": 0.875}
        assert len(having(runs, {**judge.MIXED, **full_vapo(*off), name: own[name]})) == 32
    text = {"world": "lm", "task": "text_walk", **full_vapo("length_adaptive_gae")}
    assert len(having(runs, {**text, "settings.fixed_lambda": judge.TOKEN_LAMBDA})) == 32
    assert len(having(runs, {**text, "variants": "credit=step_level"})) == 32
    mapped = having(runs, {**judge.MAP, **full_vapo(), "probes": judge.MAP_PROBES})
    assert mapped.groupby(["dials.sparsity", "dials.filler"])["seed"].nunique().tolist() == [8] * 20


def test_cells_of_other_studies_are_shared():
    own = {spec.hash for spec in trained("full")}
    assert len([spec for spec in adaptation.walk("full") if spec.hash in own]) == 2 * 32
    assert len([spec for spec in core.lm("full") if spec.hash in own]) == 3 * 32


def test_smoke_runs_are_judged(tmp_path):
    """From specs to verdicts and pictures on the walk, arrays included."""
    chosen = [*study.abstraction("smoke"), *(spec for spec in study.blame("smoke") if spec.world == "walk")]
    for spec in chosen:
        run_one(spec, tmp_path, "h7_credit_assignment")
    collect(chosen, tmp_path, tmp_path / "tables")
    tables = load(tmp_path / "tables")
    found = judge.score(tables, study_questions.QUESTIONS, "smoke")
    primary = [v for v in found if v.primary and v.level == "walk"]
    assert [v.question for v in primary] == ["h7b"]
    assert primary[0].decision in ("undecided", "not_tested")
    mixed = having(tables.runs, {**judge.MIXED, **full_vapo()})
    assert len(Blame.of(tables, mixed).errors) > 100
    assert {"samples", "blame"} <= set(judge.figures(tables, study_questions.QUESTIONS))
