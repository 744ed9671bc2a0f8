"""Runs of limitation 4, exploration on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run

TRIO = ("clip_higher", "positive_lm_loss", "group_sampling")


def real_runs() -> Iterator[RunSpec]:
    """With and without the three components for exploration, and without the positive-example loss alone."""
    for seed in SEEDS:
        yield run(seed)
        yield run(seed, core.without(*TRIO))
        yield run(seed, core.without("positive_lm_loss"))
