"""The search space of a sweep: settings with range, scale, and the toggle each one requires."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import ValidationError

from vapo_core.settings import RECIPES, Settings
from vapo_core.suggest import nearest

Scale = Literal["log", "linear", "horizon"]

ALIASES: dict[str, str] = {"lambda": "fixed_lambda"}
"""Names of sweeps that are not themselves the setting's name."""

LAMBDAS: tuple[str, ...] = ("fixed_lambda", "lambda_critic")
"""Swept by log horizon h = 1 / (1 - lambda): equal steps in lambda would spend nearly all trials on short horizons."""

RANGES: dict[str, tuple[float, float]] = {
    "alpha": (0.02, 20.0),
    "fixed_lambda": (0.0, 0.999),
    "lambda_critic": (0.0, 0.999),
}
"""Three decades each. Below and above, answers of tens of tokens have lambda = 0 or lambda = 1 for every purpose."""

NEEDS: dict[str, tuple[str, bool]] = {
    "alpha": ("length_adaptive_gae", True),
    "fixed_lambda": ("length_adaptive_gae", False),
    "lambda_critic": ("decoupled_gae", True),
    "clip_high": ("clip_higher", True),
    "mu": ("positive_lm_loss", True),
    "warmup_steps": ("value_pretraining", True),
    "group_size": ("group_sampling", True),
}
"""Setting -> the component it belongs to, and whether it acts with that component on or off."""

NUMERIC: tuple[str, ...] = tuple(n for n, info in Settings.model_fields.items() if info.annotation in (int, float))
ALLOWED: tuple[str, ...] = (*NUMERIC, *ALIASES)


class Dimension(NamedTuple):
    """One swept setting."""

    field: str
    """Name in Settings."""
    scale: Scale
    low: float
    """Ends of the range, in the setting's own unit."""
    high: float
    integer: bool
    """Integers only."""


class SearchPlan(NamedTuple):
    """What determines the trials of one study."""

    name: str
    space: tuple[Dimension, ...]
    trials: int
    seeds: int
    """Seeds of the selection; the others are none of Optuna's business."""
    sampler: str
    seed: int
    """Of the sampler."""
    pruner: str


class Record(NamedTuple):
    """One trial as a table needs it."""

    slot: int
    number: int
    """Optuna's number; larger than the slot's once a failed trial was retried."""
    state: str
    """complete, pruned, or failed (given up after three attempts)."""
    values: dict[str, float]


def dimensions(
    names: Sequence[str], asked: Sequence[Sequence[str]], base: Settings, recipe: str
) -> tuple[Dimension, ...]:
    """The search space of these names.

    Args:
        names: settings, or `lambda`.
        asked: ranges other than the default: `LOW HIGH` for a single name, `NAME LOW HIGH` for each of several.
        base: the settings around them, to check the ends of the ranges against.
        recipe: a recipe in which the settings act.

    Raises:
        ValueError: for unknown names, missing or impossible ranges, or settings that do nothing here.
    """
    if not names:
        raise ValueError("nothing to sweep: name a setting, as in `vapo sweep alpha` or `vapo sweep lambda`")
    fields = [_field(name) for name in names]
    twice = [name for name, field in zip(names, fields, strict=True) if fields.count(field) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is named twice")
    given = _given(asked, fields)
    found = tuple(_dimension(name, field, given) for name, field in zip(names, fields, strict=True))
    _check_active(fields, recipe)
    for dimension in found:
        for end in (dimension.low, dimension.high):
            _check_end(base, dimension, end)
    return found


def _check_end(base: Settings, dimension: Dimension, end: float) -> None:
    """Refuse an end that the setting cannot have, with the others as they are."""
    try:
        Settings.model_validate({**base.model_dump(), dimension.field: int(end) if dimension.integer else end})
    except ValidationError as error:
        raise ValueError(f"range: {dimension.field} = {end:g}: {error.errors()[0]['msg']}") from None


def toggles_for(fields: Sequence[str]) -> dict[str, bool]:
    """Component -> on or off, as these settings need it."""
    return dict(NEEDS[field] for field in fields if field in NEEDS)


def constant_lambda(fields: Sequence[str]) -> tuple[str, ...] | None:
    """The control of a sweep over alpha: the same with a constant lambda in alpha's place; None for other sweeps."""
    if "alpha" not in fields:
        return None
    return tuple("fixed_lambda" if field == "alpha" else field for field in fields)


def _field(name: str) -> str:
    if name not in ALLOWED:
        raise ValueError(f"no numeric setting {name!r}{nearest(name, ALLOWED)}")
    return ALIASES.get(name, name)


def _given(asked: Sequence[Sequence[str]], fields: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Setting -> requested range."""
    given = {}
    for words in asked:
        name, low, high = _three([fields[0], *words] if len(words) == 2 and len(fields) == 1 else words)
        field = ALIASES.get(name, name)
        if field not in fields:
            raise ValueError(f"range: {name!r} is not swept{nearest(name, fields)}")
        given[field] = (_number(low), _number(high))
    return given


def _number(word: str) -> float:
    """One end of a range."""
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"range: {word!r} is not a number") from None
    if not LEAST <= abs(value) <= MOST and value != 0:
        raise ValueError(
            f"range: {word} is not a valid end of a range; allowed are 0 and magnitudes from {LEAST:g} to {MOST:g}"
        )
    return value


LEAST, MOST = 1e-30, 1e15
"""Sizes between which logarithms, steps and whole numbers of a range are exact enough to search."""


def _three(words: Sequence[str]) -> tuple[str, str, str]:
    if len(words) != 3:
        raise ValueError("range: expected LOW HIGH for one setting, NAME LOW HIGH for each of several")
    return words[0], words[1], words[2]


def _dimension(name: str, field: str, given: dict[str, tuple[float, float]]) -> Dimension:
    if field not in given and field not in RANGES:
        raise ValueError(f"{name} has no default range; use --range LOW HIGH")
    low, high = given.get(field, RANGES.get(field, (0.0, 0.0)))
    if not low < high:
        raise ValueError(f"range: {name} from {low:g} to {high:g} is empty")
    if field in LAMBDAS and high >= 1:
        raise ValueError(f"range: {name} is swept by its horizon 1 / (1 - lambda), so it has to end below 1")
    integer = Settings.model_fields[field].annotation is int
    if integer and (low != int(low) or high != int(high)):
        raise ValueError(f"range: {name} takes whole numbers, not {low:g} to {high:g}")
    wide = low > 0 and high / low >= 10
    scale: Scale = "horizon" if field in LAMBDAS else "log" if wide else "linear"
    return Dimension(field, scale, low, high, integer)


def _check_active(fields: Sequence[str], recipe: str) -> None:
    """Refuse what would be a sweep over nothing."""
    if "alpha" in fields and "fixed_lambda" in fields:
        raise ValueError("alpha acts with length_adaptive_gae on and lambda with it off: sweep them separately")
    idle = [field for field in fields if field in ("alpha", *LAMBDAS)]
    if idle and RECIPES[recipe].variants.get("credit") == "group_relative":
        raise ValueError(f"recipe: {recipe} has no critic, so {idle[0]} does nothing in it")
