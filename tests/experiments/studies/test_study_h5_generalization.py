"""Study of limitation 5: which runs, on which seeds, and that judge and runs mean the same cells."""

import numpy as np
import pytest

from analysis.hypotheses.h5_generalization import judge
from analysis.tables.rows import full_vapo, having
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.h1_value_fidelity import runs as h1_value_fidelity
from experiments.studies.h5_generalization import questions as study_questions
from experiments.studies.h5_generalization import runs as study
from tests.calibration.planting import frame_of
from tests.support.listed import names_of, runs_of, trained_of
from vapo_core.tasks import make_task

TRAINED = {preset: trained_of("h5_generalization", preset) for preset in core.PRESETS}


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = runs_of("h5_generalization", preset)
    assert len(set(names_of("h5_generalization", preset))) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)


def test_judge_finds_every_declared_cell():
    runs = frame_of(TRAINED["full"])
    for cell, number in (
        (judge.UNSEEN, 32), (judge.FILLED, 6), (judge.SHORT, 6), (judge.CHAIN, 32), (judge.HAZARDS, 32),
    ):  # fmt: skip
        part = having(runs, {**cell, **full_vapo()})
        assert part["probes"].str.contains("value_transfer").sum() == number
    for recipe in study.ARMS:
        for world, number in (("lm", 8 if recipe == "dapo" else 32), ("walk", 32)):
            part = having(runs, {**judge.ARMS[world], "recipe": recipe})
            watched = part[part["probes"].str.contains(r"generalization=1\b")]
            assert len(watched) == number
            assert (watched["arm"] == recipe).all()


def test_the_chain_that_is_judged_has_pairs_of_operators_that_pretraining_never_shows():
    """No problem that the base model, the critic or RL learns from has a pair that ood_composition is made of."""
    task, rng = make_task("chain", study.UNSEEN_PAIRS), np.random.default_rng(0)
    learned = [*task.lessons(rng, 2000), *task.sample(rng, 2000, "train")]
    novel = study.UNSEEN_PAIRS["novel_pairs"].split()
    assert not any(pair in problem.answer.operators for problem in learned for pair in novel)
    asked = task.sample(rng, 200, "ood_composition")
    assert all(any(pair in problem.answer.operators for pair in novel) for problem in asked)
    usual = make_task("chain", {})
    assert any(pair in p.answer.operators for p in usual.lessons(rng, 2000) for pair in usual.pairs)


def test_full_takes_its_critics_from_limitation_1():
    others = {spec.hash for spec in h1_value_fidelity.approximation("full")}
    shared = [spec for spec in study.transfer("full") if spec.hash in others]
    assert len(shared) == h1_value_fidelity.SEEDS["full"]["critic_chain"]


def test_tasks_offer_the_splits_that_are_judged():
    for spec in (*study.transfer("full"), *study.arms("full")):
        splits = set(make_task(spec.task.name, spec.task.dials).splits)
        wanted = {"value_transfer": {judge.CRITICS[spec.world][1]}, "generalization": set(judge.SPLITS[spec.world])}
        wanted["value_transfer"] |= {"ood_length"} if spec.task.dials == study.SHORT else set()
        assert set().union(*(wanted[probe] for probe in spec.probes if probe in wanted)) <= splits


def test_smoke_runs_are_judged(tmp_path, smoke_runs):
    """From specs to verdicts on the walk; two seeds and two steps decide nothing."""
    for spec in TRAINED["smoke"]:
        run_one(spec, smoke_runs, "smoke")
    collect(TRAINED["smoke"], smoke_runs, tmp_path / "tables")
    given = load(tmp_path / "tables")
    found = judge.score(given, study_questions.QUESTIONS, "smoke")
    assert {row.question for row in found} == {"h5a", "h5b"}
    assert {row.level for row in found} == {"walk"}
    assert "critic_out_of_distribution" in judge.figures(given, study_questions.QUESTIONS)
