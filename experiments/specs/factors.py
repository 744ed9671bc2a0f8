"""Settings and dials that a design varies, read from words such as `alpha 0.1 0.25` or `dials.filler 0 1 3`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from vapo_core.settings import Settings
from vapo_core.suggest import nearest


class Factor(NamedTuple):
    """A setting, or a dial of the task, and the values it takes."""

    place: str
    """settings or dials."""
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
        asked: one (name, value, ...) per factor; a dial's name begins with "dials.".

    Raises:
        ValueError: for an unknown name, an impossible value, no value, or too few factors for the design.
    """
    words = {item[0].removeprefix("settings."): tuple(item[1:]) for item in asked if item}
    if len(words) < len(asked):
        raise ValueError("vary: a name is missing or given twice; it is NAME VALUE..., such as alpha 0.1 0.25")
    for name, *values in _defaults(design, task, words):
        words.setdefault(name, tuple(values))
    least = {"grid": 2, "one-at-a-time": 1}.get(design, 0)
    if len(words) < least:
        raise ValueError(
            f"vary: design {design} needs at least {least}, such as --vary alpha 0.1 0.25, got {len(words)}"
        )
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
    place, model = ("dials", dials) if name.startswith("dials.") else ("settings", settings)
    bare = name.removeprefix("dials.")
    if bare not in type(model).model_fields:
        raise ValueError(f"vary: no {place[:-1]} {bare!r}{nearest(bare, type(model).model_fields)}")
    if not values:
        raise ValueError(f"vary: {name} needs at least one value")
    read = [getattr(type(model).model_validate({**model.model_dump(), bare: value}), bare) for value in values]
    return Factor(place, bare, getattr(model, bare), tuple(dict.fromkeys(read)))
