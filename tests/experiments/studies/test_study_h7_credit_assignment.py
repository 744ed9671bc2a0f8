"""Study of limitation 7: which runs, on which seeds, and that judge and runs mean the same cells."""

import pytest

from analysis.hypotheses.h7_credit_assignment import judge
from analysis.hypotheses.h7_credit_assignment.tables import Blame
from analysis.tables.rows import full_vapo, having
from analysis.tables.schema import load
from analysis.verdict import gates
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import boundaries, core
from experiments.studies.h2_length_adaptive_gae import runs as adaptation
from experiments.studies.h7_credit_assignment import questions as study_questions
from experiments.studies.h7_credit_assignment import runs as study
from tests.calibration.planting import frame_of, tables
from tests.support.listed import names_of, trained_of


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once(preset):
    names = names_of("h7_credit_assignment", preset)
    assert len(set(names)) == len(names)


def test_horizons_are_matched():
    """A segment has four decisions, so lambda per segment is the fourth power: else segments would win by a longer horizon."""
    token, segment = (study.credited("full", 1000, 12, arm) for arm in study.CREDIT_ARMS)
    assert segment.settings.segment_steps == study.SEGMENT == judge.SEGMENT
    assert segment.settings.fixed_lambda == pytest.approx(token.settings.fixed_lambda**study.SEGMENT)
    assert segment.variants == {"credit": "segment_level", "values": "state_error"}
    assert token.variants == {"values": "state_error"}
    assert token.task == segment.task
    assert "filler" not in token.task.dials


def test_judge_finds_every_declared_cell():
    judged, gate = gates.split(tables(frame_of(trained_of("h7_credit_assignment", "full"))))
    runs, counts = judged.runs, study.SEEDS["full"]
    for error, seeds in ((study.ERROR_SD, counts["credit"]), (0.0, counts["others"])):
        for lam, by_segment in ((judge.TOKEN_LAMBDA, False), (judge.SEGMENT_LAMBDA, True)):
            part = judge.arm(runs, error, lam, by_segment)
            assert part.groupby(judge.DECISIONS)["seed"].nunique().to_dict() == dict.fromkeys(study.DECISIONS, seeds)
    assert len(judge.arm(runs, study.ERROR_SD, judge.TOKEN_LAMBDA, True)) == 3 * counts["others"]
    for lam in study.GATE_LAMBDAS:
        assert len(judge.arm(gate.runs, study.ERROR_SD, lam, False)) == 3 * counts["gate"]
    assert len(judge.arm(runs, 0.0, judge.TOKEN_LAMBDA, False, judge.FILLER)) == 2 * counts["derived"]
    assert len(judge.arm(runs, 0.0, judge.TOKEN_LAMBDA**4, False)) == 2 * counts["derived"]
    for off, name in (((), "settings.alpha"), (("length_adaptive_gae",), "settings.fixed_lambda")):
        own = {"settings.alpha": 0.5, "settings.fixed_lambda": 0.9375}
        assert len(having(runs, {**judge.MIXED, **full_vapo(*off), name: own[name]})) == counts["blame"]
    text = {"world": "lm", "task": "text_walk", **full_vapo("length_adaptive_gae")}
    assert len(having(runs, {**text, "settings.fixed_lambda": judge.TOKEN_LAMBDA})) == counts["text"]
    assert len(having(runs, {**text, "variants": "credit=step_level"})) == counts["text"]
    mapped = having(runs, {**judge.MAP, **full_vapo(), "probes": judge.MAP_PROBES})
    assert (
        mapped.groupby(["dials.sparsity", "dials.filler"])["seed"].nunique().tolist() == [boundaries.SEEDS["full"]] * 20
    )


def test_cells_of_other_studies_are_shared():
    own, counts = set(names_of("h7_credit_assignment", "full")), study.SEEDS["full"]
    assert len([spec for spec in adaptation.walk("full") if spec.hash in own]) == 2 * counts["blame"]
    assert len([spec for spec in core.lm("full") if spec.hash in own]) == (2 + 1) * counts["text"]


def test_smoke_runs_are_judged(tmp_path, smoke_runs):
    """From specs to verdicts and pictures on the walk, arrays included."""
    chosen = [
        *study.gate("smoke"),
        *study.abstraction("smoke"),
        *(spec for spec in study.blame("smoke") if spec.world == "walk"),
    ]
    for spec in chosen:
        run_one(spec, smoke_runs, "h7_credit_assignment")
    collect(chosen, smoke_runs, tmp_path / "tables")
    made = load(tmp_path / "tables")
    found = judge.score(made, study_questions.QUESTIONS, "smoke")
    primary = [v for v in found if v.primary and v.level == "walk"]
    assert [v.question for v in primary] == ["h7b"]
    assert primary[0].decision in ("undecided", "not_tested")
    mixed = having(made.runs, {**judge.MIXED, **full_vapo()})
    assert len(Blame.of(made, mixed).errors) > 100
    assert {"samples", "blame"} <= set(judge.figures(made, study_questions.QUESTIONS))
