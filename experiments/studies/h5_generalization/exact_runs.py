"""Runs of limitation 5, generalisation at the exact level."""

from experiments.specs.exact import ExactSpec
from experiments.studies.exact import theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """R13."""
    return theory(preset, (), ("r13",))
