"""Study of limitation 4: which runs, on which seeds, and that judge and runs mean the same cells."""

import pytest

from analysis.hypotheses.h4_exploration import escape, judge
from analysis.tables.rows import having
from analysis.tables.schema import load
from analysis.verdict import gates
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import boundaries, core
from experiments.studies.h4_exploration import questions as questions
from experiments.studies.h4_exploration import runs as study
from tests.calibration.planting import frame_of, tables
from tests.support.listed import names_of, trained_of


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once(preset):
    names = names_of("h4_exploration", preset)
    assert len(set(names)) == len(names)


def test_judge_finds_every_declared_cell():
    """Edge depths with all three on and all off on 100 seeds, fewer beyond; each alone and other pathways; arms at the fork."""
    judged, gate = gates.split(tables(frame_of(trained_of("h4_exploration", "full"))))
    runs = judged.runs
    trap = having(runs, escape.TRAP)
    pathways = [{**escape.ALL, **changed} for _, changed in escape.PATHWAYS.values()]
    alone = {**judge.full_vapo(*study.TRIO[:2]), **escape.OWN}
    for wanted, seeds, beyond in (
        (escape.ALL, 100, 16), (escape.NONE, 100, 16), (alone, 16, 0), *((path, 16, 0) for path in pathways),
    ):  # fmt: skip
        count = having(trap, wanted).groupby("dials.trap_prior")["seed"].nunique()
        assert count.loc[list(study.EDGE)].eq(seeds).all(), wanted
        assert not beyond or count.loc[list(study.BEYOND)].eq(beyond).all()
    assert set(escape.PATHWAYS) == set(study.PATHWAYS)
    fork = having(runs, judge.FORK)
    counts = study.SEEDS["full"]
    for epochs, seeds in zip(study.EPOCHS, ((counts["fork"],) * 2, (counts["other_forks"],) * 2), strict=True):
        assert [len(part) for part in judge.fork_arms(fork, epochs)] == [*seeds, counts["other_forks"]]
        on, off, fast = judge.fork_arms(fork, epochs)
        assert fast["settings.policy_lr"].iloc[0] == pytest.approx(1.2 * off["settings.policy_lr"].iloc[0])
        assert on["positive_lm_loss"].all()
    heavy, none = judge.gate_arms(gate)
    assert len(heavy) == len(none) == study.SEEDS["full"]["gate"]
    assert len(having(runs, {"world": "lm", "task": "trap"})) == 3 * 2 * counts["text"]
    assert len(having(runs, {"world": "lm", "task": "routes"})) == 2 * counts["text"]


def test_map_shares_the_cells_it_has_in_common_with_the_question():
    trap = {spec.hash for spec in study.trap("full")}
    assert len([spec for spec in study.boundary("full") if spec.hash in trap]) == 4 * boundaries.SEEDS["full"]


def test_arms_sample_equally_and_differ_in_three_components():
    on, off = (study.trapped("full", 1000, 2.0, *names) for names in ((), study.TRIO))
    assert on.settings == off.settings
    assert (on.steps, on.task, on.evaluation) == (off.steps, off.task, off.evaluation)
    differing = [name for name in core.RECIPES["vapo"].toggles.model_dump()
                 if getattr(on.toggles, name) != getattr(off.toggles, name)]  # fmt: skip
    assert sorted(differing) == sorted(study.TRIO)


def test_smoke_runs_are_judged(tmp_path, smoke_runs):
    """From specs to verdicts on the walk; two seeds and two steps decide nothing."""
    chosen = [
        *study.trap("smoke")[:4],
        *study.trap("smoke")[12:16],
        *study.fork("smoke")[:4],
        *study.gate("smoke"),
    ]
    for spec in chosen:
        run_one(spec, smoke_runs, "h4_exploration")
    collect(chosen, smoke_runs, tmp_path / "tables")
    found = judge.score(load(tmp_path / "tables"), questions.QUESTIONS, "smoke")
    assert {v.question for v in found} >= {"h4a"}
    assert {v.decision for v in found if v.primary} <= {"undecided", "not_tested"}
