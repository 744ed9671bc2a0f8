"""Intervals for oracle measurements: places share responses and prompts, so the independent units are prompts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from vapo_core.oracles.truth import Truth, value_variance

LEAST_VARIANCE = 1e-4
"""Below this variance of values, reward^2, there is nothing to explain, and a fraction of it means nothing."""


class Interval(NamedTuple):
    """An estimate with the ends of its interval, in the estimate's unit."""

    estimate: float
    low: float
    high: float


def jackknife(statistic: Callable[[np.ndarray], float], clusters: np.ndarray, level: float = 0.95) -> Interval:
    """Estimate and Student interval from leaving out one cluster at a time.

    se^2 = (C - 1) / C sum_c (theta_(c) - mean theta_(.))^2, and theta +- t_{C-1} se (Efron and Stein 1981). Right for
    smooth statistics, such as ratios of means; not for medians.

    Args:
        statistic: [n] row numbers -> number.
        clusters: [N] label of each row; C distinct ones.
        level: coverage wanted, in (0, 1).

    Raises:
        ValueError: for fewer than 2 clusters.
    """
    labels = np.unique(clusters)
    if len(labels) < 2:
        raise ValueError(f"an interval needs at least 2 clusters, got {len(labels)}")
    rows = np.arange(len(clusters))
    left_out = np.array([statistic(rows[clusters != label]) for label in labels])
    error = np.sqrt((len(labels) - 1) * left_out.var())
    half = float(stdtrit(len(labels) - 1, 0.5 + level / 2) * error)
    estimate = statistic(rows)
    return Interval(estimate, estimate - half, estimate + half)


def interval_of(
    statistic: Callable[[Truth], float], truth: Truth, clusters: np.ndarray, level: float = 0.95
) -> Interval:
    """The same for a number read off places, such as `truth.unexplained`. Raises as `jackknife`."""
    return jackknife(lambda rows: statistic(truth.where(rows)), clusters, level)


def above_zero(statistic: Callable[[np.ndarray], float], clusters: np.ndarray) -> bool:
    """Is a number's whole 95 % interval above 0? Never for one cluster, which has none. Args: as `jackknife`."""
    return len(np.unique(clusters)) > 1 and jackknife(statistic, clusters).low > 0


def resolvable(truth: Truth, clusters: np.ndarray) -> bool:
    """May Var(V) stand in a denominator? At least LEAST_VARIANCE, and where V is estimated, clear of 0.

    Args:
        truth: N places.
        clusters: [N] labels of independent groups of places, such as prompts.
    """
    if value_variance(truth) < LEAST_VARIANCE:
        return False
    return not truth.noise.any() or above_zero(lambda rows: value_variance(truth.where(rows)), clusters)
