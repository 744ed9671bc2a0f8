"""Intervals for what the oracle measures: places share responses and prompts, so prompts are the units that count."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from vapo_core.oracles.truth import Truth


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
