"""Times until something happens, when some runs end before it did (right-censored)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.statistics.intervals import Interval

Array = NDArray[np.float64]


class Survival(NamedTuple):
    """A Kaplan-Meier curve: steps down after each time at which something happened; S(t) = 1 before the first."""

    time: Array
    """[E] times of events, rising."""
    survival: Array
    """[E] share without the event right after each time."""
    low: Array
    high: Array
    """[E] pointwise bounds in [0, 1]: Greenwood's variance on log(-log S); 0 and 1 where S = 0 has none."""
    at_risk: Array
    """[E] runs still under observation right before it."""
    events: Array
    """[E] events at it."""


def kaplan_meier(time: ArrayLike, observed: ArrayLike, level: float = 0.95) -> Survival:
    """Share of runs without the event, by Kaplan and Meier (1958).

    Args:
        time: [N] of the event, or of the end of observation; an end counts as later than an event of the same time.
        observed: [N] true where the event was seen, false where the run ended first.
        level: of the pointwise interval, in (0, 1).

    Raises:
        ValueError: as `_checked`.
    """
    times, seen = _checked(time, observed)
    at, events = np.unique(times[seen], return_counts=True)
    at_risk = len(times) - np.searchsorted(np.sort(times), at, side="left")
    survival = np.asarray(np.cumprod(1 - events / at_risk), float)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events)))) / np.abs(np.log(survival))
        width = np.exp(stats.norm.ppf((1 + level) / 2) * error)
        low, high = survival**width, survival ** (1 / width)
    ended = survival == 0
    return Survival(
        at, survival, np.where(ended, 0.0, low), np.where(ended, 1.0, high), at_risk.astype(float), events.astype(float)
    )


def median_time(curve: Survival) -> float:
    """First time at which no more than half are without the event; inf if that was not reached."""
    down = np.flatnonzero(curve.survival <= 0.5)
    return float(curve.time[down[0]]) if down.size else float("inf")


def restricted_mean(time: ArrayLike, observed: ArrayLike, horizon: float, level: float = 0.95) -> Interval:
    """Mean of min(time, horizon): the area under the Kaplan-Meier curve up to `horizon`, in the unit of time.

    Needs no model and no median, and is defined however many runs are censored, as long as one was followed to the
    horizon. Variance by Greenwood: sum over events of (area to their right)^2 d / (n (n - d)), times N / (N - 1) as for
    a mean; the interval is normal, cut to [0, horizon].

    Raises:
        ValueError: as `_checked`; or if the last run ended, without the event, before the horizon.
    """
    times, seen = _checked(time, observed)
    if times.max() < horizon and not seen[times == times.max()].all():
        raise ValueError(f"nothing is known between {times.max():g}, where the last run ended, and {horizon:g}")
    curve = kaplan_meier(times, seen, level)
    inside = curve.time < horizon
    steps = np.concatenate([[0.0], curve.time[inside], [horizon]])
    areas = np.diff(steps) * np.concatenate([[1.0], curve.survival[inside]])
    right = areas.sum() - np.cumsum(areas)[:-1]
    risk, events = curve.at_risk[inside], curve.events[inside]
    left = risk > events  # the last event's own area is 0
    variance = float((right[left] ** 2 * events[left] / (risk[left] * (risk[left] - events[left]))).sum())
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(variance * len(times) / max(len(times) - 1, 1))
    mean = float(areas.sum())
    return Interval(mean, float(max(mean - half, 0.0)), float(min(mean + half, horizon)))


def _checked(time: ArrayLike, observed: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    times, seen = np.asarray(time, float), np.asarray(observed, bool)
    if times.shape != seen.shape or times.ndim != 1 or not times.size:
        raise ValueError(f"one time and one mark per run are expected, not {times.shape} and {seen.shape}")
    if not (np.isfinite(times).all() and (times >= 0).all()):
        raise ValueError("times must be finite and not negative: a censored run has the time at which it ended")
    return times, seen
