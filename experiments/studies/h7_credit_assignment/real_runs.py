"""Runs of limitation 7, credit assignment on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run

STEP_LAMBDA = 0.95**20
"""A line of a worked solution has about twenty tokens: the same horizon, counted in lines."""


def real_runs() -> Iterator[RunSpec]:
    """Credit given to tokens and to lines, at one horizon."""
    fixed = core.without("length_adaptive_gae")
    for seed in SEEDS:
        yield run(seed, fixed)
        yield run(seed, fixed, settings={"fixed_lambda": STEP_LAMBDA}, variants={"credit": "step_level"})
