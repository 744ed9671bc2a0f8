"""Runs of the component study on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.designs import leave_one_out, with_baselines
from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run


def real_runs() -> Iterator[RunSpec]:
    """Full VAPO, each of the seven removed, and three other recipes."""
    for seed in SEEDS:
        for cell in with_baselines(leave_one_out(), core.BASELINES):
            yield run(seed, cell.toggles, cell.recipe)
