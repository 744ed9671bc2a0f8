"""Exponents of power laws, one per instance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def loglog_slope(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Least-squares slope of log y on log x.

    Args:
        x: [L] positive, at least two different.
        y: [L] or [N, L] positive, a row per instance (sampled problem, or seed).

    Returns:
        [] or [N] slopes: b where y = c x^b. Instances are independent, points within one are not, so an interval goes
        over the N slopes.

    Raises:
        ValueError: for values that have no logarithm, or fewer than two different x.
    """
    across, up = np.asarray(x, float), np.asarray(y, float)
    if not (across > 0).all() or not (up > 0).all():
        raise ValueError("a log-log slope needs positive numbers")
    centred = np.log(across) - np.log(across).mean()
    if not (centred**2).sum() > 0:
        raise ValueError("a slope needs at least two different x")
    return np.asarray(np.log(up) @ centred / (centred @ centred))
