"""Experimental designs: the cells to compare, a recipe with toggles, changed variants, settings and dials. Seeds are paired."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from experiments.specs.factors import Factor
from experiments.specs.spec import arm_label
from vapo_core import bounds
from vapo_core.settings import COMPONENTS, RECIPES, Toggles

Changes = tuple[tuple[str, Any], ...]
"""(name, value) pairs."""


class Cell(NamedTuple):
    """One cell of a design."""

    recipe: str
    toggles: Toggles
    settings: Changes = ()
    """Settings that differ from the study's defaults."""
    dials: Changes = ()
    """Task dials that differ from the study's defaults."""
    variants: Changes = ()
    """Slots filled by a named variant instead of the recipe's own."""

    @property
    def label(self) -> str:
        """The arm's name in tables, such as `vapo without clip_higher alpha=0.25`."""
        changes = [f"{name}={shown(value)}" for name, value in (*self.variants, *self.settings, *self.dials)]
        return " ".join([arm_label(self.recipe, self.toggles), *changes])


class Request(NamedTuple):
    """Options of a design."""

    fraction: int = 64
    """Runs per replicate of a fractional factorial: 64, 32 or 16."""
    factors: tuple[Factor, ...] = ()
    """Settings, dials and slots to vary."""


class Design(NamedTuple):
    """A design by name."""

    reference: str
    """Label of the reference arm, with which the others are compared."""
    cells: Callable[[Request], list[Cell]]
    varies: bool = False
    """Whether it accepts `--vary`."""


GENERATORS: dict[int, tuple[str, ...]] = {
    64: ("ABCDEFG",),
    32: ("ABCDF", "ABDEG"),
    16: ("ABCE", "BCDF", "ACDG"),
}
"""Runs -> words set to I (F = ABCD, G = ABDE; E = ABC, F = BCD, G = ACD). All signs are +, so full VAPO is a cell."""


def own(recipe: str) -> Cell:
    """A recipe with its own toggles."""
    return Cell(recipe, RECIPES[recipe].toggles)


def leave_one_out() -> list[Cell]:
    """Full VAPO, then VAPO without each component in turn: 8 cells."""
    full = RECIPES["vapo"].toggles
    return [own("vapo"), *(Cell("vapo", full.model_copy(update={name: False})) for name in COMPONENTS)]


def add_one_in() -> list[Cell]:
    """PPO, then PPO with each component in turn: 8 cells."""
    none = RECIPES["ppo"].toggles
    return [own("ppo"), *(Cell("ppo", none.model_copy(update={name: True})) for name in COMPONENTS)]


def full_factorial() -> list[Cell]:
    """Every on/off combination of the seven components, full VAPO first: 128 cells."""
    return [
        Cell("vapo", Toggles(**dict(zip(COMPONENTS, bits, strict=True)))) for bits in product((True, False), repeat=7)
    ]


def fractional_factorial(runs: int = 64) -> list[Cell]:
    """The combinations in which every word of `GENERATORS[runs]` has an even number of components off.

    Args:
        runs: 64 (resolution VII), 32 or 16 (both resolution IV).
    """
    words = [[COMPONENTS["ABCDEFG".index(letter)] for letter in word] for word in GENERATORS[runs]]

    def belongs(cell: Cell) -> bool:
        on = cell.toggles.model_dump()
        return all(sum(not on[name] for name in word) % 2 == 0 for word in words)

    return [cell for cell in full_factorial() if belongs(cell)]


def one_at_a_time(base: Cell, factors: Sequence[Factor]) -> list[Cell]:
    """The base cell, then one cell per non-default value of each factor, all other factors at their defaults."""
    return [base, *(_changed(base, {factor: value}) for factor in factors for value in factor.others)]


def grid(base: Cell, factors: Sequence[Factor]) -> list[Cell]:
    """Every combination of the factors' values.

    Raises:
        ValueError: if there are more combinations than one command may run.
    """
    bounds.check_product("vary", {f"values of {f.name}": len(f.values) for f in factors}, bounds.RUNS)
    return [_changed(base, dict(zip(factors, values, strict=True))) for values in product(*(f.values for f in factors))]


def _changed(base: Cell, values: Mapping[Factor, Any]) -> Cell:
    """The cell with these values; values equal to the study's defaults are left out."""
    new = {f: value for f, value in values.items() if value != f.own}
    slots = {f.name: value for f, value in new.items() if f.place == "slots"}
    off = {name: False for name, value in slots.items() if value == "off"}
    return base._replace(
        toggles=base.toggles.model_copy(update=off),
        variants=tuple((name, value) for name, value in slots.items() if name not in off),
        settings=tuple((f.name, value) for f, value in new.items() if f.place == "settings"),
        dials=tuple((f.name, value) for f, value in new.items() if f.place == "dials"),
    )


def _lambda_grid(request: Request) -> list[Cell]:
    """Full VAPO, then constant lambda_policy (fixed_lambda) x lambda_critic with decoupled_gae on."""
    constant = Cell("vapo", RECIPES["vapo"].toggles.model_copy(update={"length_adaptive_gae": False}))
    return [own("vapo"), *grid(constant, request.factors)]


def _grid_beside_vapo(request: Request) -> list[Cell]:
    return [own("vapo"), *grid(own("vapo"), request.factors)]


DESIGNS: dict[str, Design] = {
    "leave-one-out": Design("vapo", lambda _: leave_one_out()),
    "add-one-in": Design("ppo", lambda _: add_one_in()),
    "full-factorial": Design("vapo", lambda _: full_factorial()),
    "fractional-factorial": Design("vapo", lambda request: fractional_factorial(request.fraction)),
    "one-at-a-time": Design("vapo", lambda request: one_at_a_time(own("vapo"), request.factors), varies=True),
    "grid": Design("vapo", _grid_beside_vapo, varies=True),
    "alpha-by-length": Design("vapo", _grid_beside_vapo, varies=True),
    "lambda-by-lambda": Design("vapo", _lambda_grid, varies=True),
}


def with_baselines(cells: Sequence[Cell], baselines: Sequence[str]) -> list[Cell]:
    """The cells plus these recipes, without duplicates."""
    return list(dict.fromkeys([*cells, *map(own, baselines)]))


def shown(value: Any) -> str:
    """A value formatted for a label."""
    return f"{value:g}" if isinstance(value, float) else str(value)
