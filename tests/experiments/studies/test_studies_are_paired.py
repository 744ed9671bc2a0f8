"""All studies together: seeds of every cell begin at one place, so that any two arms share those of the smaller."""

from collections import defaultdict

import pytest

from experiments.studies import STEMS, core, find


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("preset", core.PRESETS)
def test_seeds_of_every_cell_are_the_first_of_its_world(stem, preset):
    """A cell is a spec without its seed, what follows from it (the base), and what is measured on the way.

    On text, smoke keeps to one base.
    """
    cells = defaultdict(set)
    apart = {"seed": True, "base": {"init": True}, "probes": True, "log_every": True, "evaluation": True}
    for spec in find(stem).specs(preset):
        cells[spec.world, spec.model_dump_json(exclude=apart)].add(spec.seed)
    first = {world: min(min(seeds) for (of, _), seeds in cells.items() if of == world) for world, _ in cells}
    for (world, cell), seeds in cells.items():
        step = 3 if (world, preset) == ("lm", "smoke") else 1
        assert sorted(seeds) == list(range(first[world], first[world] + step * len(seeds), step)), cell
        assert (first[world] == 1000) if preset == "full" else (first[world] < 1000)


def test_a_run_that_two_studies_list_is_one_run():
    """Studies that read the core tables name their cells by the same content."""
    listed = {stem: {spec.hash for spec in find(stem).specs("quick")} for stem in STEMS}
    shared = {stem: len(hashes & listed["components"]) for stem, hashes in listed.items() if stem != "components"}
    assert set(listed["components"]) == {spec.hash for spec in (*core.walk("quick"), *core.lm("quick"))}
    assert {stem for stem, count in shared.items() if count} >= {
        "h1_value_fidelity", "h2_length_adaptive_gae", "h6_interactions", "h7_credit_assignment",
    }  # fmt: skip
