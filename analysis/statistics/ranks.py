"""Rank agreement of two lists, compared with random orders."""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LISTED = 7
"""Things up to which all orders are listed: 7! = 5,040."""


class Rank(NamedTuple):
    """One coefficient, in [-1, 1], beside what chance gives; nan where a list does not vary."""

    value: float
    null_low: float
    null_high: float
    """Central share `level` of the coefficient over random orders: outside it, agreement is not chance."""
    p: float
    """Share of orders as far from 0."""


class Agreement(NamedTuple):
    """Rank agreement of two lists."""

    kendall: Rank
    """tau-b."""
    spearman: Rank


def agreement(
    a: ArrayLike, b: ArrayLike, rng: np.random.Generator, level: float = 0.95, draws: int = 5000
) -> Agreement:
    """Kendall's tau-b and Spearman's rho of a [N] and b [N], with their distribution over random orders.

    The null interval says what chance gives, not how uncertain the estimate is: orders of seven things leave it from a
    tau of 0.71 on. Exact up to seven things, else over `draws` random orders, the given one among them.

    Raises:
        ValueError: for unequal lengths or fewer than two things.
    """
    left, right = np.asarray(a, float), np.asarray(b, float)
    if left.shape != right.shape or left.ndim != 1 or left.size < 2:
        raise ValueError(f"two lists of equal length are expected, not {left.shape} and {right.shape}")
    orders = _orders(left.size, draws, rng)
    signs = np.sign(right[:, None] - right)[orders[:, :, None], orders[:, None, :]]
    tau = np.tensordot(signs, np.sign(left[:, None] - left), 2)
    ranks = stats.rankdata(right) - (left.size + 1) / 2
    rho = ranks[orders] @ (stats.rankdata(left) - (left.size + 1) / 2)
    scales = [np.sqrt(abs(_pairs(left) * _pairs(right))), np.sqrt(_spread(left) * _spread(right))]
    return Agreement(*(_against(null, scale, level) for null, scale in zip((tau, rho), scales, strict=True)))


def _orders(size: int, draws: int, rng: np.random.Generator) -> NDArray[np.int_]:
    """[orders, size], the given one first."""
    if size <= LISTED:
        return np.array(list(permutations(range(size))))
    given = np.arange(size)
    return np.vstack([given, rng.permuted(np.tile(given, (draws - 1, 1)), axis=1)])


def _pairs(x: NDArray[np.float64]) -> float:
    """Ordered pairs that are not tied."""
    return float(np.abs(np.sign(x[:, None] - x)).sum())


def _spread(x: NDArray[np.float64]) -> float:
    return float(((stats.rankdata(x) - (x.size + 1) / 2) ** 2).sum())


def _against(null: NDArray[np.float64], scale: float, level: float) -> Rank:
    if scale == 0:
        return Rank(np.nan, np.nan, np.nan, np.nan)
    null = null / scale
    low, high = np.quantile(null, [(1 - level) / 2, (1 + level) / 2])
    return Rank(float(null[0]), float(low), float(high), float(np.mean(np.abs(null) >= abs(null[0]) - 1e-9)))
