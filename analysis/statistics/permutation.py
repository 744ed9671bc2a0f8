"""Tests of no difference that assume exchangeability alone. Two-sided; exact where all rearrangements can be listed."""

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

LISTED = 70_000
"""Rearrangements up to which all are listed: 2^16 signs, or C(19, 9) splits."""


def sign_flip(x: ArrayLike, rng: np.random.Generator, draws: int = 9999) -> float:
    """p of the mean of paired differences x [S] if each is as likely to be negative: share of sign flips as far from 0.

    Exact up to 16 differences, else (1 + count) / (1 + draws) of random flips (Phipson and Smyth 2010), never 0. The
    smallest possible exact p is 2 / 2^S: 5 pairs cannot reach 0.05.

    Raises:
        ValueError: without differences or with a missing one.
    """
    values = _finite(x)
    if 2**values.size <= LISTED:
        signs = 1 - 2 * (np.arange(2**values.size)[:, None] >> np.arange(values.size) & 1)
        return _share(signs @ values, values.sum())
    signs = rng.choice(np.array([-1, 1]), size=(draws, values.size))
    return _share(np.append(signs @ values, values.sum()), values.sum())


def permutation(a: ArrayLike, b: ArrayLike, rng: np.random.Generator, draws: int = 9999) -> float:
    """p of the difference of means of unpaired a [S] and b [R] if labels are exchangeable.

    Exact up to 70,000 splits, else (1 + count) / (1 + draws) of random ones, never 0.

    Raises:
        ValueError: if either is empty or holds a missing value.
    """
    left, right = _finite(a), _finite(b)
    pooled, size = np.concatenate([left, right]), left.size
    centred = pooled - pooled.mean()
    if comb(pooled.size, size) <= LISTED:
        splits = np.array(list(combinations(range(pooled.size), size)))
        return _share(centred[splits].sum(axis=1), centred[:size].sum())
    drawn = rng.permuted(np.broadcast_to(centred, (draws, pooled.size)), axis=1)[:, :size].sum(axis=1)
    return _share(np.append(drawn, centred[:size].sum()), centred[:size].sum())


def _share(null: NDArray[np.float64], seen: float) -> float:
    """Share of a null distribution at least as far from 0 as what was seen, up to rounding."""
    slack = 1e-9 * max(float(np.abs(null).max()), 1e-300)
    return float(np.mean(np.abs(null) >= abs(seen) - slack))


def _finite(x: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(x, float)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("one finite value per seed is expected, and at least one")
    return values
