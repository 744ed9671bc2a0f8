"""Runs of limitation 1, value fidelity on a pretrained checkpoint, preset real."""

from collections.abc import Iterator

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.real import SEEDS, run

ERROR_SD = 0.2


def real_runs() -> Iterator[RunSpec]:
    """The critic's error at both ends; the same lambda with and without an error put into values."""
    fixed = core.without("length_adaptive_gae")
    for seed in SEEDS:
        yield run(seed)
        yield run(seed, fixed)
        yield run(seed, fixed, settings={"value_error_sd": ERROR_SD}, variants={"values": "state_error"})
