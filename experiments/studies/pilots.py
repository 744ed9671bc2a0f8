"""Pilots: primary runs of preset full on a few development seeds, for spreads, activities and costs before a declaration.

A pilot decides nothing. Its seeds stand in no judged run: seed 1000 of preset full becomes 700, and so on. Runs of the exact
level and of gates are left out: the first are computed once for all, the second have seeds of their own.
"""

from collections.abc import Iterable

from experiments.specs.exact import AnySpec
from experiments.specs.spec import CONFIRMATORY, RunSpec, paired_base

FIRST = 700
COUNTS: dict[str, int] = {"walk": 6, "lm": 3}
"""World -> the first so many seeds of preset full that a pilot stands for."""


def pilots_of(specs: Iterable[AnySpec]) -> tuple[RunSpec, ...]:
    """The first confirmatory seeds' runs, moved to development seeds; a text base is one of those shared in development."""
    trained = [spec for spec in specs if isinstance(spec, RunSpec)]
    return tuple(_moved(spec) for spec in trained if CONFIRMATORY <= spec.seed < CONFIRMATORY + COUNTS[spec.world])


def _moved(spec: RunSpec) -> RunSpec:
    seed = spec.seed - CONFIRMATORY + FIRST
    return spec.model_copy(update={"seed": seed, "base": paired_base(spec.base, spec.world, seed)})
