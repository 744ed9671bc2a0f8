"""All studies together: seeds of every cell begin at one place, so that any two arms share those of the smaller."""

from collections import defaultdict

import pytest

from analysis.verdict import gates
from experiments.studies import STEMS, core, find
from experiments.studies import seeds as numbers
from tests.support.listed import names_of, runs_of, trained_of

DEVELOPMENT = range(700, 800)
"""Seeds that lengths and thresholds were chosen on."""


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("preset", core.PRESETS)
def test_seeds_of_every_cell_are_the_first_of_its_world(stem, preset):
    """A cell is a spec without its seed, what follows from it (the base), and what is measured on the way.

    On text, smoke keeps to one base.
    """
    cells = defaultdict(set)
    apart = {"seed": True, "base": {"init": True}, "probes": True, "log_every": True, "evaluation": True}
    for spec in runs_of(stem, preset):
        if spec.world != "exact" and spec.seed in gates.SEEDS:
            continue
        cells[spec.world, spec.model_dump_json(exclude=apart)].add(spec.seed)
    first = {world: min(min(seeds) for (of, _), seeds in cells.items() if of == world) for world, _ in cells}
    for (world, cell), seeds in cells.items():
        step = 3 if (world, preset) == ("lm", "smoke") else 1
        assert sorted(seeds) == list(range(first[world], first[world] + step * len(seeds), step)), cell
        assert (first[world] == 1000) if preset == "full" else (first[world] < 1000)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("preset", core.PRESETS)
def test_gates_have_seeds_of_their_own_and_come_first(stem, preset):
    """No judged run uses them, nor those of development; questions with a gate have runs for it, others none."""
    study = find(stem)
    trained = trained_of(stem, preset)
    own = [spec.seed in gates.SEEDS for spec in trained]
    assert own == sorted(own, reverse=True)
    assert any(own) == any(question.gate for question in study.QUESTIONS.values())
    assert all((spec.seed >= 1000) == (preset == "full") for spec, gate in zip(trained, own, strict=True) if not gate)
    assert not any(spec.seed in DEVELOPMENT for spec in trained)


def test_seeds_of_gates_by_hand():
    assert list(numbers.of_gates(2)) == [900, 901]
    assert list(numbers.first("full", 2)) == [1000, 1001]
    assert list(numbers.first("quick", 2)) == [0, 1]
    with pytest.raises(ValueError, match="gates have 100 seeds"):
        numbers.of_gates(101)


def test_a_run_that_two_studies_list_is_one_run():
    """Studies that read the core tables name their cells by the same content."""
    listed = {stem: set(names_of(stem, "quick")) for stem in STEMS}
    shared = {stem: len(hashes & listed["components"]) for stem, hashes in listed.items() if stem != "components"}
    assert listed["components"] >= {spec.hash for spec in (*core.walk("quick"), *core.lm("quick"))}
    assert {stem for stem, count in shared.items() if count} >= {
        "h1_value_fidelity", "h2_length_adaptive_gae", "h6_interactions", "h7_credit_assignment",
    }  # fmt: skip
