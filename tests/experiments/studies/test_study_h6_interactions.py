"""Study of limitation 6: which runs, on which seeds, and that judge and runs mean the same cells."""

import numpy as np
import pytest

from analysis.ablations.aliasing import aliased_pairs, aliases
from analysis.ablations.factorial import detect
from analysis.hypotheses.h6_interactions import judge
from analysis.hypotheses.h6_interactions.tables import PARTS
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.studies import core
from experiments.studies.h6_interactions import questions as questions
from experiments.studies.h6_interactions import runs as study
from tests.calibration.planting import frame_of, tables
from vapo_core.probes import METRICS
from vapo_core.settings import COMPONENTS


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = study.specs(preset)
    assert len({spec.hash for spec in specs}) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)


@pytest.mark.parametrize(("preset", "runs", "seeds"), [("smoke", 32, 2), ("quick", 64, 2), ("full", 128, 32)])
def test_no_preset_aliases_the_pair_that_is_asked_for(preset, runs, seeds):
    found = judge.factorial(tables(frame_of(study.factorial(preset))), "walk", judge.BIASED)
    assert found is not None
    assert found.scores.shape == (seeds, runs)
    assert aliases(judge.PAIR, found.words) == []
    assert aliased_pairs(found.words) == [] or preset == "smoke"
    assert (found.points > 0).all(1).sum() == 1  # full VAPO is a cell


def test_every_critic_of_the_factorial_is_biased_and_no_other():
    """And in full the same combinations from a fresh critic are the core table's."""
    assert {spec.settings.critic_bias for spec in study.factorial("full")} == {1.0}
    assert {spec.settings.critic_bias for spec in (*study.updates("full"), *study.text_updates("full"))} == {0.0}
    given = tables(frame_of([spec for spec in study.specs("full") if spec.world == "walk" and spec.seed < 1003]))
    fresh = judge.factorial(given, "walk", judge.FRESH)
    assert fresh is not None
    assert fresh.scores.shape == (3, 128)
    core_runs = {spec.hash for spec in core.walk("full")}
    assert len([spec for spec in study.specs("full") if spec.hash in core_runs]) == len(core_runs)


def test_the_pair_by_name():
    assert [COMPONENTS["ABCDEFG".index(letter)] for letter in judge.PAIR] == list(study.PAIR)


def test_text_has_a_fraction_in_full_and_corners_before():
    full = detect(frame_of([spec for spec in study.factorial("full") if spec.world == "lm"]))
    assert full is not None
    assert full.scores.shape == (5, 64)
    quick = [spec for spec in study.factorial("quick") if spec.world == "lm"]
    assert len(quick) == 4 * 3
    on = {(spec.toggles.value_pretraining, spec.toggles.decoupled_gae) for spec in quick}
    assert len(on) == 4


def test_judge_reads_what_probes_log():
    assert {f"large_update/{name}" for name in PARTS} <= set(METRICS)
    assert {"improvement/delta_j", "improvement/predicted"} <= set(METRICS)
    assert all({"large_update", "improvement"} <= set(spec.probes) for spec in study.updates("full"))
    assert all("improvement" in spec.probes for spec in study.text_updates("full"))


def test_smoke_runs_are_judged(tmp_path):
    """From specs to a verdict; two seeds and two steps decide nothing."""
    chosen = study.updates("smoke")
    for spec in chosen:
        run_one(spec, tmp_path, "h6")
    assert collect(chosen, tmp_path, tmp_path / "out") == 2
    found = judge.score(load(tmp_path / "out"), questions.QUESTIONS, "smoke")
    (row,) = [row for row in found if row.primary]
    assert (row.question, row.seeds) == ("h6a", 2)
    assert row.decision == "undecided"
    assert 0 <= row.effect <= 1
    assert np.isfinite([v.effect for v in found]).all()
