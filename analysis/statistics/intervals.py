"""Intervals for the mean over seeds. Each takes arrays of shape [S] (S seeds) and returns an `Interval`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALLEST_THRESHOLD: dict[int, float] = {5: 1.95, 10: 1.20, 16: 0.90, 20: 0.80, 32: 0.60, 64: 0.45}
"""Seeds -> smallest threshold, in standard deviations of a paired difference, at which a 95 % Student interval both
supports an effect of twice the threshold and calls a zero effect negligible, each in 80 % of studies, uncorrected."""


class Interval(NamedTuple):
    """A mean with its two-sided confidence interval, in the unit of the data."""

    estimate: float
    low: float
    """Not a number below two observations, which carry no spread."""
    high: float


class NoEstimate(ValueError):
    """The data leave this number without an estimate; its text says why."""


def student(x: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of x [S], level in (0, 1); estimate is nan without observations.

    Raises:
        ValueError: if x is not one-dimensional, holds a missing value, or level is outside (0, 1).
    """
    from scipy.special import stdtrit  # here, since plans name thresholds without it and its import is half their time

    values = _checked(x, level)
    if values.size < 2:
        return Interval(float(values.mean()) if values.size else np.nan, np.nan, np.nan)
    mean = float(values.mean())
    half = float(stdtrit(values.size - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(values.size))
    return Interval(mean, mean - half, mean + half)


def paired(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of a - b, both [S], entry i of both from seed i.

    Raises:
        ValueError: if the shapes differ, or as in `student`.
    """
    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if left.shape != right.shape:
        raise ValueError(f"pairs are expected: {left.shape} against {right.shape}")
    return student(left - right, level)


def _checked(x: ArrayLike, level: float) -> NDArray[np.float64]:
    values = np.asarray(x, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"one value per seed is expected, not an array of shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError("a value is missing: drop it (and its partner) before asking for an interval")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    return values


def smallest_threshold(seeds: int) -> float:
    """Smallest usable threshold in sd of a paired difference, of the next tabled number of seeds below; nan below 5."""
    tabulated = [n for n in SMALLEST_THRESHOLD if n <= seeds]
    return SMALLEST_THRESHOLD[max(tabulated)] if tabulated else float("nan")
