"""Designs: which cells, what a fraction cannot tell apart (METHODS.md, h6b), labels, order."""

from collections import Counter
from itertools import combinations

import pytest
from pydantic import ValidationError

from analysis.ablations.aliasing import (
    LETTERS,
    alias_table,
    aliased_pairs,
    aliases,
    defining_relation,
    effects_up_to,
    product,
    resolution,
    words_of,
)
from experiments.ablations.planning import check_labels, in_blocks
from experiments.specs.designs import (
    DESIGNS,
    GENERATORS,
    Cell,
    Request,
    fractional_factorial,
    full_factorial,
    grid,
    one_at_a_time,
    own,
    with_baselines,
)
from experiments.specs.factors import Factor, factors_of
from vapo_core.settings import COMPONENTS, DEFAULT_SETTINGS, RECIPES
from vapo_core.tasks import TASKS

WALK = TASKS["walk"].dials()
ALPHA = Factor("settings", "alpha", 0.5, (0.1, 0.5, 2.0))
FILLER = Factor("dials", "filler", 0, (0, 3))


def factors(design, *asked, task="walk"):
    return factors_of(design, task, asked, DEFAULT_SETTINGS["walk"], TASKS[task].dials())


def test_product_drops_what_occurs_twice():
    assert product("ABC", "BCD") == "AD"
    assert product("AB", "AB") == ""


def test_sixteen_runs_alias_all_two_way_effects_in_threes():
    words = defining_relation(GENERATORS[16])
    assert resolution(words) == 4
    assert len(aliased_pairs(words)) == 21
    assert Counter(len(item) for item in alias_table(words)) == {1: 7, 3: 7}


def test_thirty_two_runs_leave_six_two_way_effects_aliased():
    words = defining_relation(GENERATORS[32])
    assert resolution(words) == 4
    assert set(words) == {"ABCDF", "ABDEG", "CEFG"}
    assert aliased_pairs(words) == ["CE", "CF", "CG", "EF", "EG", "FG"]


def test_sixty_four_runs_alias_no_two_way_effect():
    words = defining_relation(GENERATORS[64])
    assert words == ("ABCDEFG",)
    assert resolution(words) == 7
    assert aliased_pairs(words) == []
    assert aliases("AB", words) == []
    assert aliases("AB", words, order=5) == ["CDEFG"]


def test_a_full_factorial_aliases_nothing():
    assert defining_relation(()) == ()
    assert resolution(()) is None
    assert len(alias_table(())) == 28


@pytest.mark.parametrize("runs", [64, 32, 16])
def test_the_cells_of_a_fraction_have_the_stated_aliases(runs):
    """From the cells themselves: two effects' columns agree everywhere if and only if the alias table says so."""
    cells = fractional_factorial(runs)
    assert len(set(cells)) == runs
    assert cells[0] == own("vapo")
    points = [cell.toggles.model_dump() for cell in cells]
    words = defining_relation(GENERATORS[runs])
    assert words_of(points) == words

    def column(effect):
        names = [COMPONENTS[LETTERS.index(letter)] for letter in effect]
        return [(-1) ** sum(not point[name] for name in names) for point in points]

    for one, two in combinations(effects_up_to(2), 2):
        dot = sum(a * b for a, b in zip(column(one), column(two), strict=True))
        assert dot == (runs if two in aliases(one, words) else 0)


def test_full_factorial_is_every_combination_once():
    cells = full_factorial()
    assert len({cell.toggles for cell in cells}) == len(cells) == 128
    assert words_of([cell.toggles.model_dump() for cell in cells]) == ()


def test_what_is_no_regular_fraction_is_not_taken_for_one():
    points = [cell.toggles.model_dump() for cell in full_factorial()]
    assert words_of(points[:-1]) is None
    assert words_of(points[:64]) is not None  # value_pretraining always on: I = A


def test_one_at_a_time_changes_one_value_and_the_default_is_the_reference():
    cells = one_at_a_time(own("vapo"), [ALPHA, FILLER])
    assert [cell.label for cell in cells] == ["vapo", "vapo alpha=0.1", "vapo alpha=2", "vapo filler=3"]
    assert cells[3].dials == (("filler", 3),)


def test_grid_is_every_combination_and_names_what_differs():
    labels = [cell.label for cell in grid(own("vapo"), [ALPHA, FILLER])]
    assert labels == ["vapo alpha=0.1", "vapo alpha=0.1 filler=3", "vapo", "vapo filler=3", "vapo alpha=2",
                      "vapo alpha=2 filler=3"]  # fmt: skip


def test_lambda_grid_holds_full_vapo_and_constant_lambdas_with_decoupled_gae_on():
    cells = DESIGNS["lambda-by-lambda"].cells(Request(factors=factors("lambda-by-lambda")))
    assert cells[0] == own("vapo")
    assert len(cells) == 1 + 5 * 3
    for cell in cells[1:]:
        assert [name for name, on in cell.toggles.model_dump().items() if not on] == ["length_adaptive_gae"]


def test_alpha_by_length_takes_the_dial_that_is_asked_for():
    assert [factor.name for factor in factors("alpha-by-length")] == ["alpha", "filler"]
    asked = factors("alpha-by-length", ("dials.horizon", "24", "48"))
    assert {factor.name: factor.values for factor in asked}["horizon"] == (24, 48)
    assert {factor.name for factor in asked} == {"alpha", "horizon"}


@pytest.mark.parametrize(
    ("design", "asked", "said"),
    [
        ("one-at-a-time", [], "needs something to vary"),
        ("grid", [], "needs something to vary"),
        ("grid", [("alpha", "1"), ("alpha", "2")], "given twice"),
        ("one-at-a-time", [("alpa", "1")], "did you mean 'alpha'"),
        ("one-at-a-time", [("dials.fuller", "1")], "did you mean 'filler'"),
        ("one-at-a-time", [("alpha",)], "at least one value"),
        ("one-at-a-time", [("group_size", "7")], "multiple of group_size 7"),
        ("one-at-a-time", [("alpha", "much")], "valid number"),
    ],
)
def test_what_cannot_be_varied_is_refused_by_name(design, asked, said):
    with pytest.raises((ValueError, ValidationError), match=said):
        factors(design, *asked)


def test_two_cells_with_one_label_are_refused():
    check_labels([own("vapo"), own("ppo")])
    near = [Cell("vapo", RECIPES["vapo"].toggles, (("alpha", value),)) for value in (0.1, 0.1 + 1e-12)]
    with pytest.raises(ValueError, match="two cells of this design"):
        check_labels(near)


def test_order_is_random_within_a_seed_and_every_seed_is_whole_before_the_next():
    cells = with_baselines(full_factorial(), ("ppo",))
    order = in_blocks(cells, range(5, 8), order_seed=0)
    assert [seed for seed, _ in order] == [5] * 129 + [6] * 129 + [7] * 129
    blocks = [[cell for seed, cell in order if seed == number] for number in (5, 6, 7)]
    assert all(set(block) == set(cells) for block in blocks)
    assert blocks[0] != blocks[1] != cells
    assert order == in_blocks(cells, range(5, 8), order_seed=0) != in_blocks(cells, range(5, 8), order_seed=1)
    assert blocks[1] == [cell for _, cell in in_blocks(cells, [6], order_seed=0)]  # more seeds later: the same order
