"""Runs of limitation 3, the token-level loss on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run


def real_runs() -> Iterator[RunSpec]:
    """Token mean and sequence mean."""
    for seed in SEEDS:
        yield run(seed)
        yield run(seed, core.without("token_level_loss"))
