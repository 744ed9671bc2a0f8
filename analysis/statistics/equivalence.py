"""Evidence that an effect is too small to matter."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics.intervals import Interval


class OneSided(NamedTuple):
    """p values of two one-sided tests."""

    above_lower: float
    """Against a mean at or below -delta."""
    below_upper: float
    """Against a mean at or above delta."""

    @property
    def p(self) -> float:
        """The larger: equivalence at a level needs both."""
        return max(self)


def within(interval: Interval, delta: float) -> bool:
    """Whether an interval lies inside (-delta, delta): the rule of every verdict."""
    return -delta < interval.low and interval.high < delta


def tost(x: ArrayLike, delta: float) -> OneSided:
    """Two one-sided t tests of |mean| >= delta, x [S] one difference per seed (Schuirmann 1987).

    Both below a exactly where the Student interval of level 1 - 2 a lies inside (-delta, delta). nan below two seeds.
    """
    values = np.asarray(x, float)
    if values.size < 2:
        return OneSided(np.nan, np.nan)
    mean, error, freedom = values.mean(), values.std(ddof=1) / np.sqrt(values.size), values.size - 1
    if error == 0:
        return OneSided(float(mean <= -delta), float(mean >= delta))
    return OneSided(
        float(stats.t.sf((mean + delta) / error, freedom)), float(stats.t.cdf((mean - delta) / error, freedom))
    )
