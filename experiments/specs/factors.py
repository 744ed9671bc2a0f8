"""What a design varies, read from words: `alpha 0.1 0.25`, `dials.filler 0 1 3`, `token_level_loss on off length_normalised`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from vapo_core.settings import COMPONENTS, Settings
from vapo_core.suggest import nearest


class Factor(NamedTuple):
    """A setting, a dial of the task, or a slot of the recipe, and the values it takes."""

    place: str
    """settings, dials or slots."""
    name: str
    own: Any
    """The study's default value, which is the reference."""
    values: tuple[Any, ...]

    @property
    def others(self) -> tuple[Any, ...]:
        """Values other than the default."""
        return tuple(value for value in self.values if value != self.own)


LAMBDAS: tuple[tuple[str, ...], ...] = (
    ("fixed_lambda", "0.8", "0.9", "0.95", "0.98", "1"),
    ("lambda_critic", "0.8", "0.95", "1"),
)
ALPHAS: tuple[str, ...] = ("alpha", "0.1", "0.25", "0.5", "1", "2")
LENGTHS: dict[str, tuple[str, ...]] = {
    "walk": ("dials.filler", "0", "1", "3", "7"),
    "text_walk": ("dials.horizon", "12", "18", "24", "36"),
}
"""Task -> the dial that sets its length, with values: filler tokens multiply the walk's length, decisions equal."""


def factors_of(
    design: str, task: str, asked: Sequence[Sequence[str]], settings: Settings, dials: BaseModel
) -> tuple[Factor, ...]:
    """The factors a design varies: those requested, and for named grids the default factors for the rest.

    Args:
        asked: one (name, value, ...) per factor; a dial's name begins with "dials."; values of a component are on, off and
            its variants, of another slot default and its variants.

    Raises:
        ValueError: for an unknown name, an impossible value, no value, or too few factors for the design.
    """
    words = {item[0].removeprefix("settings."): tuple(item[1:]) for item in asked if item}
    if len(words) < len(asked):
        raise ValueError("vary: a name is missing or given twice; it is NAME VALUE..., such as alpha 0.1 0.25")
    for name, *values in _defaults(design, task, words):
        words.setdefault(name, tuple(values))
    least = {"grid": 1, "one-at-a-time": 1}.get(design, 0)
    if len(words) < least:
        raise ValueError(f"vary: design {design} needs something to vary, such as --vary alpha 0.1 0.25")
    return tuple(_factor(name, values, settings, dials) for name, values in words.items())


def _defaults(design: str, task: str, asked: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The factors a named grid varies by default."""
    if design == "lambda-by-lambda":
        return list(LAMBDAS)
    if design != "alpha-by-length":
        return []
    if any(name.startswith("dials.") for name in asked):
        return [ALPHAS]
    if task not in LENGTHS:
        raise ValueError(f"vary: name the dial that sets the length of {task}, such as --vary dials.NAME 1 2 3")
    return [ALPHAS, LENGTHS[task]]


def _factor(name: str, values: Sequence[str], settings: Settings, dials: BaseModel) -> Factor:
    bare = name.removeprefix("variants.")
    if not name.startswith("dials.") and bare not in Settings.model_fields:
        return _slot(bare, values)
    place, model = ("dials", dials) if name.startswith("dials.") else ("settings", settings)
    bare = name.removeprefix("dials.")
    if bare not in type(model).model_fields:
        raise ValueError(f"vary: no {place[:-1]} {bare!r}{nearest(bare, type(model).model_fields)}")
    if not values:
        raise ValueError(f"vary: {name} needs at least one value")
    read = [getattr(type(model).model_validate({**model.model_dump(), bare: value}), bare) for value in values]
    return Factor(place, bare, getattr(model, bare), tuple(dict.fromkeys(read)))


def _slot(name: str, values: Sequence[str]) -> Factor:
    """A slot of the recipe: what full VAPO has in it is the reference."""
    from vapo_core.recipe import VARIANTS

    if name not in VARIANTS:
        raise ValueError(f"vary: no setting or slot {name!r}{nearest(name, [*Settings.model_fields, *VARIANTS])}")
    own, *others = ("on", "off") if name in COMPONENTS else ("default",)
    allowed = (own, *others, *VARIANTS[name])
    if not values:
        raise ValueError(f"vary: {name} needs at least one value (allowed: {', '.join(allowed)})")
    for value in values:
        if value not in allowed:
            raise ValueError(f"vary: {name} has no variant {value!r}{nearest(value, allowed)}")
    return Factor("slots", name, own, tuple(dict.fromkeys(values)))
