"""A design as an ordered list of runs, and what a person should know before it starts: runs, hours, what it can see."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from experiments.launchers.progress import on_workers
from experiments.runs.repair import timed_rows
from experiments.specs.designs import GENERATORS, Cell
from experiments.specs.spec import DEFAULT_STEPS, RunSpec

SECONDS_PER_RUN = {"walk": 2.0, "lm": 15.0}
"""Measured on one core with the default settings and steps; used while no such run is recorded."""

MOST_LISTED = 24
"""Arms that a plan lists one by one."""


class AblationPlan(NamedTuple):
    """Runs in the order in which they start."""

    specs: tuple[RunSpec, ...]
    labels: Mapping[str, str]
    """Spec hash -> what tables call its arm."""
    reference: str
    """Label of the arm that the others are compared with."""

    arms: tuple[str, ...]
    """Labels, each once, in the design's order."""


class Speed(NamedTuple):
    """Seconds of one run."""

    seconds: float
    runs: int
    """Finished runs it is the median of; 0 for a constant."""


def in_blocks(cells: Sequence[Cell], seeds: Sequence[int], order_seed: int) -> list[tuple[int, Cell]]:
    """Every cell with every seed: one seed after the other, cells in random order within each.

    A command that is stopped early so leaves whole replicates and at most one (per worker) in part, in which no arm is
    favoured. The order is a function of order_seed and the run's seed alone.
    """
    return [
        (seed, cells[i]) for seed in seeds for i in np.random.default_rng([order_seed, seed]).permutation(len(cells))
    ]


def check_labels(cells: Sequence[Cell]) -> None:
    """Refuse a design whose tables could not tell two cells apart.

    Raises:
        ValueError: if two cells have one label.
    """
    twice = [label for label, number in Counter(cell.label for cell in cells).items() if number > 1]
    if twice:
        raise ValueError(f"two cells of this design are called {min(twice)!r}: their values differ too little")


def measured_speed(runs: Path, world: str, task: str, steps: int) -> Speed:
    """Median seconds of finished runs of that world, task and number of RL steps in a folder, else the constant."""
    kind = (world, task, steps, "finished")
    found = [float(row["seconds"]) for row in timed_rows(runs) if _kind(row) == kind]
    if found:
        return Speed(median(found), len(found))
    return Speed(SECONDS_PER_RUN[world] * steps / DEFAULT_STEPS[world], 0)


def _kind(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("world", "task", "steps", "state"))


def cost_lines(todo: int, speed: Speed, workers: int | None, done: int) -> list[str]:
    """Core-hours of `todo` runs beside `done` finished ones, time left on so many workers, and where the speed comes from."""
    seconds = todo * speed.seconds
    origin = f"the median of {speed.runs} finished here" if speed.runs else "a guess until one has finished here"
    finished = f"{done} of them are finished already; the rest takes " if done else ""
    return [
        f"{finished}about {seconds / 3600:.2f} core-hours{on_workers(seconds, workers)}"
        f" ({speed.seconds:.1f} s a run, {origin})"
    ]


def power_lines(design: str, seeds: int, fraction: int) -> list[str]:
    """The smallest effect the design can see, in standard deviations (METHODS.md, section 1)."""
    from analysis.statistics.intervals import smallest_threshold

    size = smallest_threshold(seeds)
    if np.isnan(size):
        return [f"smallest effect: {seeds} seeds are too few to state one (at least 5); read the outcome as examples"]
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
    """What a fraction cannot tell apart."""
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
