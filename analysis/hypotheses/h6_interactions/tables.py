"""Changes of J by single updates, with and without sampling noise, by run and RL step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.statistics.jackknife import jackknife
from analysis.tables.rows import series
from analysis.tables.schema import Tables

FALLS = -1e-6
"""A change of J below this is a fall: the arithmetic does not tell smaller ones from 0."""

PARTS = ("delta_j", "predicted", "predicted_se", "surrogate", "objective_gap", "shift", "tv", "bound_clip", "signal", "noise",
         "sampled_down")  # fmt: skip
"""What the probe large_update left, by name."""


class Updates(NamedTuple):
    """One entry per run and step with a large update; all [N]."""

    seed: np.ndarray
    step: np.ndarray
    j: np.ndarray
    """J from which the update starts, the last one evaluated."""
    delta_j: np.ndarray
    """Exact change of J by the large update."""
    predicted: np.ndarray
    """What the recipe's objective says of it."""
    predicted_se: np.ndarray
    surrogate: np.ndarray
    objective_gap: np.ndarray
    shift: np.ndarray
    tv: np.ndarray
    bound_clip: np.ndarray
    signal: np.ndarray
    """Mean change of J by sampled updates."""
    noise: np.ndarray
    sampled_down: np.ndarray
    """Share of them that lower J."""


def large_updates(tables: Tables, runs: pd.DataFrame) -> Updates:
    """Those of some runs."""
    found = {name: series(tables, runs["spec"], f"large_update/{name}") for name in PARTS}
    steps = found["delta_j"].columns
    columns = [wide.reindex(columns=steps).to_numpy(float) for wide in found.values()]
    known = np.isfinite(columns[0])
    j = series(tables, runs["spec"], "val/exact_j").reindex(columns=steps, method="ffill").to_numpy(float)
    seed = np.broadcast_to(runs["seed"].to_numpy()[:, None], known.shape)
    step = np.broadcast_to(steps.to_numpy(float), known.shape)
    return Updates(*(x[known] for x in (seed, step, j, *columns)))


def by_seed(seed: np.ndarray, value: ArrayLike) -> pd.Series:
    """[S] mean of a value by seed, of entries that have one."""
    return pd.Series(np.asarray(value, float)).groupby(seed).mean().dropna()


def share_interval(seed: np.ndarray, falls: np.ndarray, level: float) -> Interval:
    """Share of updates that fall: the wider of Student's over seeds and the exact binomial one over updates.

    Where no update of any seed falls, or all do, Student's has no width; the binomial one takes updates as independent.

    Args:
        seed: [N] of each update.
        falls: [N] bool.
        level: in (0, 1).
    """
    mean, low, high = student(by_seed(seed, falls), level)
    if not np.isfinite(low):
        return Interval(mean, low, high)
    exact = stats.binomtest(int(falls.sum()), len(falls)).proportion_ci(level)
    return Interval(mean, min(low, float(exact.low)), max(high, float(exact.high)))


BANDS: tuple[tuple[float, float], ...] = ((0.2, 0.5), (0.5, 0.8), (0.8, 0.95))
"""Of the J from which an update starts. Above the last one nothing is left to gain, so loss over gain tends to 1 by noise."""


def given_back(updates: Updates, bands: Sequence[tuple[float, float]], chosen: np.ndarray | None = None) -> float:
    """Sum of falls of J over the sum of its rises, mean over bands of the starting J.

    Args:
        updates: [N].
        bands: (least J, below which J).
        chosen: rows of updates; all if not given.

    Raises:
        NoEstimate: if no update of some band raises J.
    """
    delta, j = (x if chosen is None else x[chosen] for x in (updates.delta_j, updates.j))
    shares = []
    for low, high in bands:
        here = delta[(j >= low) & (j < high)]
        gain = here[here > 0].sum()
        if gain <= 0:
            raise NoEstimate(f"no update from a J between {low:g} and {high:g} raises it")
        shares.append(-here[here < FALLS].sum() / gain)
    return float(np.mean(shares))


def given_back_interval(updates: Updates, bands: Sequence[tuple[float, float]], level: float) -> Interval:
    """`given_back` with its jackknife over runs, which leave with all their updates.

    Falls are rare, so the jackknife may see next to none: its upper end is at least what an exact binomial interval of the
    share of falls among updates gives, as odds, which takes updates as independent and falls as large as rises.

    Raises:
        NoEstimate: as `given_back` does.
    """
    inside = np.logical_or.reduce([(updates.j >= low) & (updates.j < high) for low, high in bands])
    fell = updates.delta_j[inside] < FALLS
    estimate = given_back(updates, bands)
    found = jackknife(lambda chosen: given_back(updates, bands, chosen), updates.seed, level, estimate)
    if fell.any() or not np.isfinite(found.low):
        return Interval(estimate, max(found.low, 0.0) if np.isfinite(found.low) else found.low, found.high)
    most = float(stats.binomtest(0, len(fell)).proportion_ci(level).high)
    return Interval(estimate, 0.0, most / (1 - most))


def shortfall(updates: Updates, of: np.ndarray, error: np.ndarray | float = 0.0) -> pd.Series:
    """[S] 1 - slope through the origin of Delta J on a quantity with known standard error, over a seed's updates.

    The slope is sum xy / (sum x^2 - sum error^2): noise of x would pull it to 0. nan where the quantity is not above its noise.
    """
    sums = pd.DataFrame({"xy": of * updates.delta_j, "xx": of**2 - np.asarray(error) ** 2}).groupby(updates.seed).sum()
    return (1 - sums["xy"] / sums["xx"].where(sums["xx"] > 0)).dropna()


def phi(updates: Updates) -> np.ndarray:
    """[N] probability that a sampled update falls if changes of J are normal: Phi(-signal / noise)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return stats.norm.cdf(-updates.signal / updates.noise)
