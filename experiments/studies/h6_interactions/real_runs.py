"""Runs of limitation 6, interactions on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run

PAIR = ("value_pretraining", "length_adaptive_gae")


def real_runs() -> Iterator[RunSpec]:
    """The four corners of value pretraining and the length-adaptive lambda."""
    for seed in SEEDS:
        yield from (run(seed, core.without(*off)) for off in ((), PAIR[:1], PAIR[1:], PAIR))
