"""Runs of limitation 2, length-adaptive GAE on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run

ALPHAS: tuple[float, ...] = (0.0125, 0.2)
"""Beside the paper's 0.05: a quarter of it, and four times."""


def real_runs() -> Iterator[RunSpec]:
    """The paper's alpha, a quarter of it and four times, and a constant lambda."""
    for seed in SEEDS:
        yield run(seed)
        yield from (run(seed, settings={"alpha": alpha}) for alpha in ALPHAS)
        yield run(seed, core.without("length_adaptive_gae"))
