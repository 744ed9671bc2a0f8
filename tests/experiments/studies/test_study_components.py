"""The component study: which runs, in which regimes, on which seeds; and the tables that other studies share with it."""

import subprocess
import sys
from collections import Counter

import pytest

from analysis.hypotheses.components import judge
from analysis.hypotheses.components.cells import Cells, factorial
from analysis.tables import regimes
from analysis.tables.schema import load
from experiments.runs.collect import collect
from experiments.runs.run import run_one
from experiments.specs.designs import leave_one_out, with_baselines
from experiments.studies import core
from experiments.studies.components import questions as questions
from experiments.studies.components import runs as study
from tests.calibration.planting import frame_of
from tests.support.listed import names_of, runs_of
from vapo_core.settings import COMPONENTS, RECIPES

ARMS = {"vapo", "ppo", "grpo", "dapo", *(f"vapo without {name}" for name in COMPONENTS)}
FULL = runs_of("components", "full")


@pytest.mark.parametrize("preset", core.PRESETS)
def test_each_run_is_listed_once_and_full_has_its_own_seeds(preset):
    specs = runs_of("components", preset)
    assert len(set(names_of("components", preset))) == len(specs)
    assert all((spec.seed >= 1000) == (preset == "full") for spec in specs)
    assert {spec.steps for spec in specs} == {2 if preset == "smoke" else 30}


def test_the_grid_is_every_length_noise_and_start_and_names_are_told_once():
    assert len(regimes.GRID) == len({regime.name for regime in regimes.GRID}) == 3 * 2 * 2
    assert all(regime.declared for regime in regimes.GRID)
    assert {regime.length.tokens for regime in regimes.GRID} == {8, 32, 128}
    assert [regime.name for regime in regimes.NOISY] == [
        f"{n} decisions, 32 responses, outcome critic" for n in (8, 32, 128)
    ]
    assert all(0.002 <= regime.length.base_j <= 0.5 for regime in regimes.GRID)


def test_every_regime_has_the_eleven_arms_the_eight_cells_and_the_constants():
    runs = frame_of([spec for spec in FULL if spec.seed == 1000 and spec.world == "walk"])
    cells, size = Cells(runs), len(study.cells())
    assert size == 15
    for regime in regimes.GRID:
        assert all(len(cells.arm(regime, label)) == 1 for label in ARMS)
        assert all(len(cells.arm(regime, cell.label)) == 1 for cell in study.cells())
        for constant in judge.CONSTANTS:
            assert len(cells.arm(regime, "vapo without length_adaptive_gae", constant)) == 1
        added = [len(cells.arm(regime, f"ppo with {name}")) for name in COMPONENTS]
        assert set(added) == {1 if regime.settings["critic_start"] == "outcome" else 0}


def test_rows_of_a_regime_are_those_of_no_other():
    """Random rewards are a control, no arm of any regime."""
    walks = [spec for spec in FULL if spec.seed == 1000 and spec.world == "walk"]
    runs = frame_of([spec for spec in walks if not spec.task.dials.get("random_reward")])
    found = [set(regimes.rows(runs, regime)["spec"]) for regime in regimes.GRID]
    assert sum(map(len, found)) == len(set().union(*found)) == len(runs)


def test_random_rewards_and_variants_are_no_arm():
    """A control beside full VAPO must not be taken for it."""
    made = [spec for spec in study.pathways("full") if spec.world == "walk"]
    cells = Cells(frame_of(made))
    assert all(not len(cells.arm(regime, label)) for regime in regimes.GRID for label in ARMS)


def test_seeds_are_as_the_table_of_sizes_says():
    runs = frame_of([spec for spec in FULL if spec.world == "walk"])
    cells = Cells(runs)
    for regime in regimes.GRID:
        usual = study.SIZES["triple" if regime.length.tokens == 128 else "grid"].full
        assert len(cells.arm(regime, "vapo")) == usual
        assert len(cells.arm(regime, "ppo")) == study.SIZES["grid"].full


def test_factorials_whole_at_the_shortest_and_resolution_vii_at_the_longest():
    """Read out of all that is run there: removals, constants, a small pool, random rewards."""
    shape, listed = {}, [spec for spec in FULL if spec.world == "walk" and spec.seed < 1009]
    for tokens in (8, 128):
        here = frame_of([spec for spec in listed if spec.task.dials["horizon"] == {8: 32, 128: 256}[tokens]])
        found = factorial(here, tokens)
        assert found is not None
        shape[tokens] = (found.scores.shape, found.words)
    shortest, longest = (study.SIZES[part].full for part in ("shortest", "longest"))
    assert shape == {8: ((shortest, 128), ()), 128: ((longest, 64), ("ABCDEFG",))}


def test_equal_prompts_are_run_at_every_length():
    small = [spec for spec in FULL if spec.settings.pool_size == 16]
    assert Counter(spec.arm for spec in small) == {
        "vapo": 3 * study.SIZES["pool"].full, "vapo without group_sampling": 3 * study.SIZES["pool"].full,
    }  # fmt: skip


def test_pathways_are_beside_full_vapo_at_every_length():
    for pathway in study.PATHWAYS:
        made = [spec for spec in study.pathways("full") if pathway.variants.items() <= spec.variants.items()]
        made = [spec for spec in made if bool(pathway.dials) == ("random_reward" in spec.task.dials)]
        assert {spec.task.dials["horizon"] for spec in made if spec.world == "walk"} == {32, 80, 256}
        assert any(spec.world == "lm" for spec in made) == (not pathway.dials)


def test_text_has_two_lengths_and_a_base_for_every_seed():
    runs = frame_of(list(study.text("full")))
    assert runs.groupby(["dials.longest"])["arm"].nunique().tolist() == [15, 15]
    assert runs["base"].nunique() == runs["seed"].nunique() == study.SIZES["text"].full
    assert set(runs["arm"]) >= ARMS


def test_seeds_are_paired_in_everything_but_the_arm():
    """In a regime of the grid arms of the eleven differ in recipe, toggles and variants alone."""
    for regime in regimes.GRID:
        made = {(spec.settings, spec.evaluation, spec.base) for cell in with_baselines(leave_one_out(), core.BASELINES)
                for spec in [study.in_regime(regime, "full", 1000, cell)]}  # fmt: skip
        assert len(made) == 1
    for table in (core.walk("quick"), core.lm("quick")):
        assert len({(spec.settings, spec.evaluation) for spec in table}) == 1


def test_probes_of_the_core_tables():
    quick = core.run("lm", "quick", 0)
    assert {*core.CHEAP, *core.FURTHER, *core.REDUCTIONS} == set(quick.probes)
    assert set(core.run("lm", "quick", 0, toggles=core.without("clip_higher")).probes) == set(core.CHEAP)
    assert set(core.run("lm", "full", 1000).probes) == set(core.run("walk", "full", 1000).probes) == set(core.READ)
    assert core.run("lm", "full", 1000, "grpo").probes == {}
    assert core.run("walk", "quick", 0, toggles=core.without(*COMPONENTS[:2])).probes == {}
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
        f"import importlib, sys; [importlib.import_module('experiments.studies.' + n).specs('quick') for n in {names}]"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_smoke_runs_are_judged(tmp_path):
    """From specs to rows; one seed and two steps decide nothing."""
    chosen = [spec for spec in study.grid("smoke") if spec.arm in ("vapo", "vapo without decoupled_gae")]
    for spec in chosen:
        run_one(spec, tmp_path, "components")
    assert collect(chosen, tmp_path, tmp_path / "out") == 2
    assert judge.score(load(tmp_path / "out"), questions.QUESTIONS, "smoke") == []  # smoke's settings are no regime's
