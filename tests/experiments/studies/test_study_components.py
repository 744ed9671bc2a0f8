"""The core tables and the study that shows them: which runs, on which seeds, measured how."""

import subprocess
import sys
from collections import Counter

import pytest

from analysis.ablations.factorial import detect
from analysis.hypotheses.components import judge
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.components import questions as questions
from experiments.studies.components import runs as study
from tests.calibration.planting import frame_of
from vapo_core.settings import COMPONENTS, RECIPES

ARMS = {"vapo", "ppo", "grpo", "dapo", *(f"vapo without {name}" for name in COMPONENTS)}


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = study.specs(preset)
    assert len({spec.hash for spec in specs}) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)
    assert {spec.steps for spec in specs} == {2 if preset == "smoke" else 30}


def test_full_has_the_factorial_and_the_other_recipes_on_the_walk():
    runs = frame_of(core.walk("full"))
    found = detect(runs)
    assert found is not None
    assert (found.scores.shape, found.words, found.left_out) == ((32, 128), (), ())
    assert set(runs["arm"]) >= ARMS
    assert runs.groupby("arm")["seed"].nunique().eq(32).all()
    assert runs[runs["recipe"] != "vapo"]["recipe"].nunique() == 3


def test_arms_tasks_and_bases_on_text():
    for preset, seeds in (("quick", 3), ("full", 32)):
        runs = frame_of(core.lm(preset))
        assert set(runs["arm"]) == ARMS
        assert set(runs.groupby(["task", "arm"]).size()) == {seeds}
        assert runs["base"].nunique() == 3
        assert runs.groupby("seed")["base"].nunique().eq(1).all()  # a seed's arms start from one base


def test_seeds_are_paired_in_everything_but_the_arm():
    """Settings, problems and evaluation of a world are the same for all arms, preset by preset."""
    for preset in core.PRESETS:
        for table in (core.walk(preset), core.lm(preset)):
            assert len({(spec.settings, spec.evaluation) for spec in table}) == 1


def test_probes_are_on_named_arms_and_all_of_them_on_full_vapo():
    counted = Counter(bool(spec.probes) for spec in core.walk("full"))
    assert counted[True] == 11 * 32
    full = core.run("lm", "full", 1000)
    assert {*core.CHEAP, *core.FURTHER, *core.REDUCTIONS} == set(full.probes)
    assert set(core.run("lm", "full", 1000, toggles=core.without("clip_higher")).probes) == set(core.CHEAP)
    assert core.run("lm", "full", 1000, "grpo").probes["generalization"] == core.OFTEN
    assert core.run("walk", "quick", 0, toggles=core.without(*COMPONENTS[:2])).probes == {}
    assert set(core.FURTHER) <= set(core.run("walk", "full", 1000, "ppo").probes)
    assert set(core.run("walk", "quick", 0, "ppo").probes) == set(core.CHEAP)


def test_a_cell_built_by_a_study_is_the_core_tables_own():
    listed = {spec.hash for spec in core.walk("quick")}
    assert core.run("walk", "quick", 3, toggles=core.without("clip_higher")).hash in listed
    assert core.run("walk", "quick", 3, settings={"critic_bias": 1.0}).hash not in listed
    assert core.run("walk", "quick", 3, "dapo").variants == dict(RECIPES["dapo"].variants)


def test_studies_are_light():
    """Planning imports no torch."""
    names = ("components", "h3_token_level_loss", "h6_interactions")
    code = (
        f"import importlib, sys; [importlib.import_module('experiments.studies.' + n).specs('full') for n in {names}]"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_smoke_runs_are_judged(tmp_path):
    """From specs to rows; two seeds and two steps decide nothing."""
    chosen = [spec for spec in core.walk("smoke") if spec.arm in ("vapo", "vapo without decoupled_gae")]
    for spec in chosen:
        run_one(spec, tmp_path, "components")
    assert collect(chosen, tmp_path, tmp_path / "out") == 4
    (row,) = judge.score(load(tmp_path / "out"), questions.QUESTIONS, "smoke")
    assert (row.question, row.level, row.seeds, row.primary) == ("decoupled_gae", "walk", 2, False)
    assert row.strata["activity"]["effect"] > 0
