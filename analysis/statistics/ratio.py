"""The ratio of two means measured on the same seeds."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics.intervals import Interval, NoEstimate


def fieller(numerator: ArrayLike, denominator: ArrayLike, level: float = 0.95) -> Interval:
    """mean(n) / mean(d) with Fieller's interval: all r for which mean(n - r d) is not distinguishable from 0.

    With m and d the means, S their covariance matrix and t Student's quantile at S - 1 degrees of freedom, its ends are the
    roots of (d^2 - t^2 S_dd) r^2 - 2 (m d - t^2 S_md) r + (m^2 - t^2 S_mm) = 0 (Fieller 1954). It is exact for normal pairs,
    where the delta method and the bootstrap of a ratio fall short of their level as d comes near 0.

    Args:
        numerator, denominator: [S], entry i of both from seed i.
        level: in (0, 1).

    Raises:
        NoEstimate: below two seeds, or where the denominator's own interval covers 0 and the ratio can be anything.
        ValueError: if the shapes differ.
    """
    n, d = np.asarray(numerator, float), np.asarray(denominator, float)
    if n.shape != d.shape or n.ndim != 1:
        raise ValueError(f"pairs are expected: {n.shape} against {d.shape}")
    if len(n) < 2:
        raise NoEstimate("fewer than two seeds")
    top, bottom = float(n.mean()), float(d.mean())
    spread = np.cov(n, d, ddof=1) / len(n) * stats.t.ppf((1 + level) / 2, len(n) - 1) ** 2
    square = bottom**2 - spread[1, 1]
    if square <= 0:
        raise NoEstimate("not resolvable: the interval of the denominator covers 0")
    middle = top * bottom - spread[0, 1]
    half = float(np.sqrt(max(middle**2 - square * (top**2 - spread[0, 0]), 0.0)))
    return Interval(top / bottom, (middle - half) / square, (middle + half) / square)
