"""The smallest effect that a study of a given size and spread can detect."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats


def smallest_detectable(values: ArrayLike, threshold: float, level: float = 0.95, power: float = 0.8) -> float:
    """Smallest theta whose Student interval lies above `threshold` in a share `power` of studies like this one.

    threshold + noncentrality(S, level, power) sd / sqrt(S), with the sd of `values` [S] taken for the true one. For a
    prediction of no difference it is the smallest theta that would be called opposed. nan below two replicates.
    """
    x = np.asarray(values, float)
    if x.size < 2:
        return float("nan")
    return float(threshold + noncentrality(x.size, level, power) * x.std(ddof=1) / np.sqrt(x.size))


@cache
def noncentrality(replicates: int, level: float, power: float) -> float:
    """Distance from the threshold, in standard errors, at which a Student interval of `level` excludes it that often.

    The root of P(t' > t_(1+level)/2) = power, t' non-central t with S - 1 degrees of freedom. Adding two quantiles of
    the central t instead is right for many replicates; for 5 at 1 - 0.05/16 it gives 7.3 where 8.0 is needed.
    """
    freedom = replicates - 1
    critical = stats.t.ppf((1 + level) / 2, freedom)
    most = 2 * (critical + stats.t.ppf((1 + power) / 2, freedom))
    return float(optimize.brentq(lambda shift: stats.nct.sf(critical, freedom, shift) - power, 0.0, most))
