"""The runs that a study lists: thousands in preset full, so each list is made once per test process."""

from functools import cache

from experiments.specs.exact import AnySpec, ExactSpec
from experiments.studies import find


@cache
def runs_of(stem: str, preset: str) -> tuple[AnySpec, ...]:
    """Every run of a study."""
    return tuple(find(stem).specs(preset))


@cache
def trained_of(stem: str, preset: str) -> tuple[AnySpec, ...]:
    """Those of them that train."""
    return tuple(spec for spec in runs_of(stem, preset) if not isinstance(spec, ExactSpec))


@cache
def names_of(stem: str, preset: str) -> tuple[str, ...]:
    """Hash of every run, in their order."""
    return tuple(spec.hash for spec in runs_of(stem, preset))
