"""Study of limitation 1: which runs, on which seeds, and that judge and runs mean the same cells."""

import pytest

from analysis.hypotheses.h1_value_fidelity import judge
from analysis.hypotheses.h1_value_fidelity.pathways import gains
from analysis.hypotheses.h1_value_fidelity.tables import LONG_WALK, PLAIN, TEXT, TWIN, doses
from analysis.tables.rows import having
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.h1_value_fidelity import questions as questions
from experiments.studies.h1_value_fidelity import runs as study
from tests.calibration.planting import frame_of, tables
from tests.support.listed import names_of, runs_of, trained_of
from vapo_core.settings import DEFAULT_SETTINGS

TRAINED = {preset: trained_of("h1_value_fidelity", preset) for preset in core.PRESETS}


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = runs_of("h1_value_fidelity", preset)
    assert len(set(names_of("h1_value_fidelity", preset))) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)
    assert {spec.world for spec in specs} == {"exact", "walk", "lm"}


def test_judge_finds_every_declared_cell():
    runs = frame_of(TRAINED["full"])
    critics = runs[runs["probes"].str.contains("baseline_error")]
    assert len(having(critics, {"world": "walk", **PLAIN})) == 32
    full = study.SEEDS["full"]
    declared = [full[f"critic_{name}"] for name in study.TEXT]
    assert [len(having(critics, {**cell, **PLAIN})) for cell in (*TEXT.values(), LONG_WALK)] == declared
    floors = critics[critics["probes"].str.contains("approximation_floor")]
    assert [len(having(floors, {**cell, **PLAIN})) for cell in ({"world": "walk"}, *TEXT.values(), LONG_WALK)] == [
        4,
        4,
        4,
        0,
    ]
    cells = doses(tables(runs), "walk")
    kinds = {(kind, lam) for kind, _, lam in cells}
    assert kinds == {("state", 0.5), ("state", 0.95), ("state", 1.0), ("position", 0.95), ("fresh", 0.95)}
    assert {fixed for _, fixed, _ in cells} == {False, True}
    assert {len(wide) for wide in cells.values()} == {full["error_walk"]}
    assert cells["state", True, 0.95].columns.tolist() == [0.0, 0.1, 0.2]
    assert [len(wide) for wide in doses(tables(runs), "lm").values()] == [full["error_text"]]
    for wanted in (PLAIN, TWIN):
        part = having(runs, {"world": "walk", **wanted, "steps": study.FORGET_STEPS})
        counts = part.groupby("settings.policy_lr")["seed"].nunique()
        assert counts.index.tolist() == pytest.approx([0.0, 1e-3, 2e-3, 4e-3])
        assert (counts == full["forget_walk"]).all()


def test_the_judge_knows_the_policys_own_rate():
    assert {world: DEFAULT_SETTINGS[world].policy_lr for world in judge.RATE} == judge.RATE


def test_other_values_stand_beside_the_critics_own_on_the_same_seeds():
    found = gains(tables(frame_of([s for s in TRAINED["full"] if s.world == "walk"])))
    assert found.groupby(["start", "values"])["seed"].nunique().tolist() == [32] * 4
    for start in study.STARTS:
        own, *others = (study.pathway("full", 1000, start, values) for values in ("", *study.VALUES))
        for values, other in zip(study.VALUES, others, strict=True):
            assert other == own.model_copy(update={"variants": {"values": values}, "probes": {}})


def test_twins_differ_in_rehearsal_alone():
    plain, twin = study.twins("walk", "full", 1000)
    assert twin == plain.model_copy(update={"variants": {"rehearsal": "rare"}})


def test_errors_differ_from_their_plain_run_in_the_error_alone():
    """On text the plain run is the core tables' own."""
    plain, wrong = (study.value_noise("walk", "full", 1000, study.Error("state", sd, 0.95)) for sd in (0.0, 0.2))
    assert wrong.settings == plain.settings.model_copy(update={"value_error_sd": 0.2})
    assert (wrong.task, wrong.toggles, wrong.steps) == (plain.task, plain.toggles, plain.steps)
    assert not plain.variants
    shared = {spec.hash for spec in core.lm("full")}
    assert study.value_noise("lm", "full", 1000, study.TEXT_ERRORS[0]).hash in shared


def test_smoke_runs_are_judged(tmp_path, smoke_runs):
    """From specs to verdicts on the walk; a seed and two steps decide nothing."""
    chosen = [spec for spec in TRAINED["smoke"] if spec.world == "walk" and spec.seed == 0]
    for spec in chosen:
        run_one(spec, smoke_runs, "smoke")
    collect(chosen, smoke_runs, tmp_path / "tables")
    given = load(tmp_path / "tables")
    found = judge.score(given, questions.QUESTIONS, "smoke")
    assert {row.question for row in found} == {"h1a", "h1b", "h1c"}
    assert {row.level for row in found} == {"walk"}
    assert {row.decision for row in found if row.primary} <= {"undecided", "not_tested"}
    assert set(judge.figures(given, questions.QUESTIONS)) == {
        "error_by_quarter", "planted_errors", "pathways", "forgetting",
    }  # fmt: skip
