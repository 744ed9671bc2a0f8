"""Scores of many runs in one number or curve, as rliable defines them (Agarwal et al. 2021, arXiv:2108.13264)."""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from analysis.statistics.intervals import Interval


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: the mean of what is left of all entries when floor(N/4) of each end are cut off.

    Args:
        scores: [S] or [S, tasks]; entries are pooled, as rliable's `aggregate_iqm` does.
    """
    return float(stats.trim_mean(np.asarray(scores, float), 0.25, axis=None))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """[K] share of all entries of scores [S] or [S, tasks] above each of thresholds [K]."""
    pooled = np.sort(np.asarray(scores, float), axis=None)
    return 1 - np.searchsorted(pooled, np.asarray(thresholds, float), side="right") / pooled.size


def probability_of_improvement(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """P(a run of a scores above a run of b), ties half: U / (S R) of Mann and Whitney, in [0, 1].

    The interval is Newcombe's fifth (Statistics in Medicine 25:559, 2006), a score interval like Wilson's: it stays
    inside [0, 1] and has width where every run of one arm beats every run of the other. It takes the arms as
    independent; where seeds are paired it is too wide.

    Args:
        a: [S] scores.
        b: [R] scores.
        level: in (0, 1).

    Raises:
        ValueError: if either arm has no score.
    """
    left, right = np.sort(np.asarray(a, float)), np.sort(np.asarray(b, float))
    if not left.size or not right.size:
        raise ValueError("both arms need at least one score")
    below, upto = np.searchsorted(right, left, "left"), np.searchsorted(right, left, "right")
    share = float((below + upto).mean() / 2 / right.size)
    z, pairs, spare = stats.norm.ppf((1 + level) / 2), left.size * right.size, (left.size + right.size) / 2 - 1

    def off(theta: float) -> float:
        spread = 1 + spare * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return abs(theta - share) - z * sqrt(theta * (1 - theta) * spread / pairs)

    low = 0.0 if share == 0 else optimize.brentq(off, 0.0, min(share, 1 - 1e-12))
    high = 1.0 if share == 1 else optimize.brentq(off, max(share, 1e-12), 1.0)
    return Interval(share, float(low), float(high))
