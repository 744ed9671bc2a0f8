"""A design as an ordered list of runs, with its cost and the smallest effect it can detect."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.cost.probe_cost import probe_lines
from experiments.cost.run_time import cost_line, estimate
from experiments.specs.designs import GENERATORS, Cell
from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec

MOST_LISTED = 24
"""Most arms that a plan lists individually."""


class AblationPlan(NamedTuple):
    """Runs in the order in which they start."""

    specs: tuple[RunSpec, ...]
    labels: Mapping[str, str]
    """Spec hash -> what tables call its arm."""
    reference: str
    """Label of the arm that the others are compared with."""

    arms: tuple[str, ...]
    """Labels, each once, in the design's order."""

    def label(self, spec: AnySpec) -> str:
        """What tables call the arm of one of these runs."""
        return self.labels[spec.hash]


def in_blocks(cells: Sequence[Cell], seeds: Sequence[int], order_seed: int) -> list[tuple[int, Cell]]:
    """Every cell with every seed: one seed after the other, cells in random order within each.

    A command stopped early thus leaves complete replicates and at most one partial one per worker, in which no arm is
    favoured. The order is a function of order_seed and the run's seed alone.
    """
    return [
        (seed, cells[i]) for seed in seeds for i in np.random.default_rng([order_seed, seed]).permutation(len(cells))
    ]


def check_labels(cells: Sequence[Cell]) -> None:
    """Refuse a design in which two cells share a label.

    Raises:
        ValueError: if two cells have one label.
    """
    twice = [label for label, number in Counter(cell.label for cell in cells).items() if number > 1]
    if twice:
        raise ValueError(f"two cells of this design share the label {min(twice)!r}: their values differ too little")


def cost_lines(todo: Sequence[RunSpec], runs: Path, workers: int | None, done: int) -> list[str]:
    """What the runs `todo` cost beside `done` finished ones, and which of their probes cost more than training."""
    finished = f"{done} of them are finished; remaining: " if done else ""
    return [finished + cost_line(estimate(todo, runs), workers), *probe_lines(todo)]


def power_lines(design: str, seeds: int, fraction: int) -> list[str]:
    """The smallest effect the design can detect, in standard deviations (METHODS.md, section 1)."""
    from analysis.statistics.intervals import smallest_threshold

    size = smallest_threshold(seeds)
    if np.isnan(size):
        return [
            f"smallest effect: {seeds} seeds are too few to compute one (at least 5); treat the outcome as exploratory"
        ]
    paired = f"smallest effect: {size:.2f} sd of the paired difference of two arms, with {seeds} seeds"
    runs = factorial_runs(design, fraction)
    if not runs:
        return [paired]
    per_seed = 2 / sqrt(runs)
    return [
        f"smallest main effect or interaction: {size * per_seed:.3f} sigma = {size * per_seed / sqrt(2):.3f} sd of the"
        f" paired difference of two arms, with {seeds} seeds of {runs} runs",
        f"  (sigma: sd of a run's score about its cell and seed; one seed gives an effect with sd {per_seed:.3f} sigma)",
    ]


def factorial_runs(design: str, fraction: int) -> int:
    """Runs of one replicate of a factorial, 0 for other designs."""
    return {"full-factorial": 128, "fractional-factorial": fraction}.get(design, 0)


def alias_lines(fraction: int) -> list[str]:
    """Which effects a fraction aliases."""
    from analysis.ablations.aliasing import (
        LETTERS,
        alias_table,
        aliased_pairs,
        defining_relation,
        named,
        resolution,
        roman,
    )

    words = defining_relation(GENERATORS[fraction])
    pairs = aliased_pairs(words)
    head = f"{fraction} of the 128 combinations: I = {' = '.join(words)}, resolution {roman(resolution(words) or 1)}"
    letters = "letters: " + ", ".join(f"{letter} {named(letter)}" for letter in LETTERS)
    if not pairs:
        return [head, letters, "no main effect or two-way interaction is aliased with another"]
    sets = [item for item in alias_table(words) if len(item) > 1]
    return [
        head,
        letters,
        f"{len(pairs)} of the 21 two-way interactions are aliased: {', '.join(' = '.join(item) for item in sets)}",
    ]


def arm_lines(plan: AblationPlan) -> list[str]:
    """The arms, unless they are too many to read."""
    arms = plan.arms
    if len(arms) <= MOST_LISTED:
        return [f"  {arm}" for arm in arms]
    return [f"  {arms[0]} and {len(arms) - 1} more arms"]
