"""What a study of a given size and spread could have seen."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def smallest_detectable(values: ArrayLike, threshold: float, level: float = 0.95, power: float = 0.8) -> float:
    """Smallest theta whose Student interval lies above `threshold` in a share `power` of studies like this one.

    threshold + (t_(1+level)/2 + t_power) sd / sqrt(S), t with S - 1 degrees of freedom: an approximation to the
    non-central t, a little large. nan below two replicates.
    """
    x = np.asarray(values, float)
    if x.size < 2:
        return float("nan")
    quantiles = stats.t.ppf((1 + level) / 2, x.size - 1) + stats.t.ppf(power, x.size - 1)
    return float(threshold + quantiles * x.std(ddof=1) / np.sqrt(x.size))
