"""Log-normal accelerated failure times: how a factor multiplies the time to an event that some runs did not live to see.

log T = design @ b + sd * normal. A coefficient of log l is the exponent of l in the time; exp of an arm's coefficient is
the ratio of medians. Right-censored runs enter with P(T > their end).
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import log_ndtr

from analysis.statistics.intervals import Interval, NoEstimate
from analysis.statistics.jackknife import jackknife
from analysis.statistics.logistic import Array, Local, highest


class Aft(NamedTuple):
    """A fitted model of log time."""

    coefficients: Array
    """[K]."""
    covariance: Array
    """[K, K], from the observed information."""
    sd: float
    """Of log time, maximum likelihood (divided by N)."""

    def interval(self, which: int, level: float = 0.95) -> Interval:
        """Normal (Wald) interval of one coefficient, for independent runs."""
        half = float(stats.norm.ppf((1 + level) / 2) * np.sqrt(self.covariance[which, which]))
        value = float(self.coefficients[which])
        return Interval(value, value - half, value + half)


def aft(design: ArrayLike, time: ArrayLike, observed: ArrayLike) -> Aft:
    """Maximum likelihood, in Olsen's coordinates b / sd and 1 / sd, where it is concave (Econometrica 46:1211, 1978).

    Args:
        design: [N, K], a column of ones for the constant.
        time: [N] > 0, of the event or of the end of observation.
        observed: [N] true where the event was seen.

    Raises:
        ValueError: for times that are not positive.
        NoEstimate: for fewer events than coefficients + 1, or where there is no maximum, as with an arm of censored runs
            only: its time has a lower bound and no estimate.
    """
    x, times, seen = np.asarray(design, float), np.asarray(time, float), np.asarray(observed, bool)
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("times must be finite and positive")
    if seen.sum() <= x.shape[1] or np.linalg.matrix_rank(x[seen]) < x.shape[1]:
        raise NoEstimate(
            f"{seen.sum()} of {len(seen)} runs saw the event: every arm needs some, whichever seed is left out"
        )
    log_time = np.log(times)
    start, *_ = np.linalg.lstsq(x, log_time, rcond=None)
    spread = max(float((log_time - x @ start).std()), 1e-3)
    rows = np.column_stack([-x, log_time])
    height = partial(_likelihood, rows, seen)
    try:
        found = highest(height, np.eye(rows.shape[1]), 1e-13, np.append(start, 1.0) / spread).coefficients
    except ValueError as error:  # also what numpy raises of a singular matrix
        raise NoEstimate(f"no most likely time: {error}") from None
    scale = 1 / found[-1]
    turn = np.column_stack([scale * np.eye(x.shape[1]), -(scale**2) * found[:-1]])
    covariance = turn @ np.linalg.inv(height(found).information) @ turn.T
    return Aft(scale * found[:-1], covariance, float(scale))


def _likelihood(rows: Array, seen: NDArray[np.bool_], at: Array) -> Local:
    """At (b / sd, 1 / sd), with residuals rows @ at, rows [N, K + 1] = (-design, log time)."""
    if not at[-1] > 0:
        return Local(float("-inf"), np.zeros_like(at), np.eye(len(at)))
    r = rows @ at
    survived = log_ndtr(-r)
    hazard = np.exp(-(r**2) / 2 - survived) / np.sqrt(2 * np.pi)
    height = seen.sum() * np.log(at[-1]) + np.where(seen, -(r**2) / 2, survived).sum()
    score = -np.where(seen, r, hazard) @ rows
    information = (rows * np.where(seen, 1.0, hazard * (hazard - r))[:, None]).T @ rows
    score[-1] += seen.sum() / at[-1]
    information[-1, -1] += seen.sum() / at[-1] ** 2
    return Local(float(height), score, information)


def exponent(x: ArrayLike, time: ArrayLike, observed: ArrayLike, seed: ArrayLike, level: float = 0.95) -> Interval:
    """b in time ~ c x^b, censored times counted as such, with an interval over seeds (leave-one-out).

    Args:
        x: [N] positive, such as a horizon.
        time: [N] positive.
        observed: [N].
        seed: [N] label of the run's seed, shared by the x.
        level: in (0, 1).
    """
    log_x, times, seen = np.log(np.asarray(x, float)), np.asarray(time, float), np.asarray(observed, bool)
    design = np.column_stack([np.ones_like(log_x), log_x])
    return _over_seeds(design, times, seen, seed, level)


def exponent_difference(
    x: ArrayLike, time: ArrayLike, observed: ArrayLike, arm: ArrayLike, seed: ArrayLike, level: float = 0.95
) -> Interval:
    """b of the arm less b of the reference, both at one sd of log time, over seeds that the arms may share.

    Args:
        x: [N] positive.
        time: [N] positive.
        observed: [N].
        arm: [N] true for the arm, false for the reference.
        seed: [N].
        level: in (0, 1).
    """
    log_x, other = np.log(np.asarray(x, float)), np.asarray(arm, float)
    design = np.column_stack([np.ones_like(log_x), log_x, other, other * log_x])
    return _over_seeds(design, np.asarray(time, float), np.asarray(observed, bool), seed, level)


def median_ratio(
    time: ArrayLike, observed: ArrayLike, arm: ArrayLike, seed: ArrayLike, level: float = 0.95
) -> Interval:
    """Log of the arm's median time over the reference's, over seeds that the arms may share.

    Args:
        time: [N] positive.
        observed: [N].
        arm: [N] true for the arm, false for the reference.
        seed: [N].
        level: in (0, 1).
    """
    other = np.asarray(arm, float)
    design = np.column_stack([np.ones_like(other), other])
    return _over_seeds(design, np.asarray(time, float), np.asarray(observed, bool), seed, level)


def _over_seeds(design: Array, times: Array, seen: NDArray[np.bool_], seed: ArrayLike, level: float) -> Interval:
    """The last coefficient."""
    return jackknife(lambda rows: float(aft(design[rows], times[rows], seen[rows]).coefficients[-1]), seed, level)
