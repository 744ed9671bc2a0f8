"""Intervals for any smooth statistic of rows that come in seeds, by leaving out one seed at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.intervals import Interval, student


def jackknife(
    statistic: Callable[[np.ndarray], float], clusters: ArrayLike, level: float = 0.95, estimate: float | None = None
) -> Interval:
    """Student's interval over pseudo-values S T - (S - 1) T(without seed i), around the statistic itself.

    For a mean it is Student's interval. It holds whatever the dependence within a seed, arms included, since a seed
    leaves with all its rows; the statistic must be smooth (no median, no maximum).

    Args:
        statistic: takes row indices, [n] int, and returns a number.
        clusters: [N] label of each row's seed.
        level: in (0, 1).
        estimate: the statistic on all rows, if it is known already.

    Returns:
        The statistic on all rows, not corrected for bias; bounds nan with fewer than two seeds or where leaving out one
        gives no number.
    """
    names, members = np.unique(np.asarray(clusters), return_inverse=True)
    value = statistic(np.arange(len(members))) if estimate is None else estimate
    if len(names) < 2:
        return Interval(value, np.nan, np.nan)
    left = np.array([statistic(np.flatnonzero(members != number)) for number in range(len(names))])
    if not np.isfinite([value, *left]).all():
        return Interval(value, np.nan, np.nan)
    centre, low, high = student(len(names) * value - (len(names) - 1) * left, level)
    return Interval(value, value + low - centre, value + high - centre)
