"""Runs of limitation 4, exploration at the exact level."""

from experiments.specs.exact import ExactSpec
from experiments.studies.exact import theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """R7, R10."""
    return theory(preset, (), ("r7", "r10"))
