"""Seconds of several ways to do one thing, taken in turn, so that whatever slows the machine slows all of them alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch


class TimingRow(NamedTuple):
    """One line of results/benchmarks/benchmarks.csv."""

    part: str
    """Which benchmark."""
    case: str
    """What it was done with, such as `batch 256, 40 tokens`."""
    variant: str
    """How it was done."""
    value: float
    """Median over repetitions."""
    low: float
    """Lower quartile."""
    high: float
    """Upper quartile."""
    unit: str
    repetitions: int
    reference: str = ""
    """The variant that `ratio` is against."""
    ratio: float = float("nan")
    """Median over repetitions of this variant's seconds over the reference's in the same turn; below 1 is faster."""
    ratio_low: float = float("nan")
    ratio_high: float = float("nan")
    amount: float = float("nan")
    """Work done in one repetition, such as tokens; amount over value is a rate."""
    amount_unit: str = ""
    floor: float = float("nan")
    """Median of the reference's value, where it has no row of its own."""
    peak_mb: float = float("nan")
    """Most memory of a process that did nothing else."""


def take_turns(variants: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, np.ndarray]:
    """Seconds [repetitions] of every variant. One turn to warm up is not kept; every other turn goes the other way round."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for turn in range(repetitions + 1):
        for name in names if turn % 2 else reversed(names):
            started = time.perf_counter()
            variants[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - started)
    return {name: np.array(found[1:]) for name, found in seconds.items()}


def rows(
    part: str,
    case: str,
    seconds: Mapping[str, np.ndarray],
    reference: str,
    amount: float = float("nan"),
    unit: str = "",
) -> list[TimingRow]:
    """One row per variant, with its ratio to the reference turn by turn.

    Args:
        reference: name of the variant the others are compared with, such as the floor.
        amount: work done in one repetition, the same for every variant.
        unit: what the amount counts.
    """
    return [
        TimingRow(
            part, case, name, *quartiles(found), "s", len(found), reference,
            *quartiles(found / seconds[reference]), amount, unit,
        )
        for name, found in seconds.items()
    ]  # fmt: skip


def quartiles(x: np.ndarray) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
    return float(middle), float(low), float(high)


def number(part: str, case: str, variant: str, values: np.ndarray, unit: str) -> TimingRow:
    """A row of a quantity that is not compared within its turn, such as megabytes."""
    return TimingRow(part, case, variant, *quartiles(values), unit, len(values))
