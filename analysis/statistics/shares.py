"""Shares of independent yes-or-no trials."""

import numpy as np
from scipy import stats

from analysis.statistics.intervals import Interval


def wilson(hits: float, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share, in [0, 1]; for independent trials alone (Wilson 1927).

    Raises:
        ValueError: unless 0 <= hits <= trials and there is a trial.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits} hits of {trials} trials have no share")
    z, share = stats.norm.ppf((1 + level) / 2), hits / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    low, high = (0.0 if hits == 0 else centre - half), (1.0 if hits == trials else centre + half)
    return Interval(share, float(low), float(high))
