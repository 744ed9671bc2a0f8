"""Common parts of the studies' exact-level runs: sampled families of problems, one run per measurement.

Measured on one core: smoke takes 10 s, quick 3 minutes, full an hour, all studies together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from experiments.exact_level.plans import (
    AnyPlan,
    Error,
    Result,
    Theory,
)
from experiments.specs.exact import ExactSpec, exact_spec

Choice = TypeVar("Choice")

FAMILIES: dict[str, tuple[int, int]] = {"smoke": (0, 2), "quick": (100, 6), "full": (1000, 64)}
"""Preset -> first seed and number of sampled families, the replicates."""

EXACT = Error(kind="none", size=0.0)
STATE = Error(kind="state", size=0.1)
FRESH = Error(kind="none", size=0.0, noise=0.1)


def seeds(preset: str) -> range:
    """Seeds of the sampled families.

    Raises:
        ValueError: for an unknown preset.
    """
    first, number = of_preset(preset, FAMILIES)
    return range(first, first + number)


def of_preset(preset: str, choices: Mapping[str, Choice]) -> Choice:
    """What a preset has.

    Raises:
        ValueError: for an unknown preset.
    """
    if preset not in choices:
        raise ValueError(f"preset: no exact runs for {preset!r} (allowed: {', '.join(choices)})")
    return choices[preset]


def on_every_family(plans: Sequence[AnyPlan], preset: str) -> tuple[ExactSpec, ...]:
    """Every plan on every family, family by family."""
    return tuple(exact_spec(plan, seed) for seed in seeds(preset) for plan in plans)


def theory(preset: str, sampled: Iterable[Result], closed: Iterable[Result]) -> tuple[ExactSpec, ...]:
    """Results shown on sampled problems, one run per family; and those that are the same for all, one run."""
    on_samples = [Theory(measure="theory", result=result) for result in sampled]
    once = tuple(exact_spec(Theory(measure="theory", result=result), seeds(preset)[0]) for result in closed)
    return (*on_every_family(on_samples, preset), *once)
