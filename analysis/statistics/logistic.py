"""Binomial outcomes under a logistic curve: plain likelihood, for intervals by its ratio."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
STEPS, LONGEST = 2000, 20.0
"""Most Newton steps (a dozen, or hundreds under a penalty), and the most a coefficient moves in one while it is small."""
RIDGE = 1e-5
"""Weight of |coefficients|^2 / 2: gives separated data, whose likelihood rises for ever, a maximum that is as high."""


class Data(NamedTuple):
    """Counted trials; columns of the design should be of order 1."""

    design: Array
    """[N, K]."""
    hits: Array
    """[N] trials with the outcome, among `trials`."""
    trials: Array
    """[N] at least 1."""


class Fit(NamedTuple):
    """A maximum."""

    coefficients: Array
    """[K]."""
    height: float
    """What is maximised, there, up to a constant of the data."""


class Local(NamedTuple):
    """A function of the coefficients at one place."""

    height: float
    score: Array
    """[K] its slope."""
    information: Array
    """[K, K] what Newton divides by: positive definite."""


def grouped(design: Array, hits: Array) -> Data:
    """Trials of equal design counted together, which changes no estimate: design [N, K], hits [N] of 0 and 1."""
    code = np.zeros(len(design), int)
    for column in design.T:  # numbers of rows in their order; numpy's own sort of whole rows takes eight times as long
        values, rank = np.unique(column, return_inverse=True)
        code = code * len(values) + rank
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    rows = design[first]
    trials = np.bincount(place, minlength=len(rows)).astype(np.float64)
    return Data(rows, np.bincount(place, hits, len(rows)).astype(np.float64), trials)


def likelihood(data: Data, coefficients: Array) -> Local:
    """Log-likelihood, less a ridge too small to be seen."""
    design, hits, trials = data
    odds = design @ coefficients
    p = expit(odds)
    information = (design * (trials * p * (1 - p))[:, None]).T @ design + RIDGE * np.eye(len(coefficients))
    height = hits @ odds - trials @ np.logaddexp(0, odds) - RIDGE / 2 * coefficients @ coefficients
    return Local(float(height), design.T @ (hits - trials * p) - RIDGE * coefficients, information)


def highest(function: Callable[[Array], Local], span: Array, close: float = 1e-9, start: Array | None = None) -> Fit:
    """Maximum over coefficients span @ g, span [K, M], by Newton.

    A step is halved until it gains a tenth of what its slope promises, which also ends the zigzag of an information matrix
    that is too small by half or more.

    Args:
        close: expected gain in height at which it stops.
        start: [M] g to start from, 0 if not given.

    Raises:
        ValueError: if it has not stopped after 2,000 steps.
    """
    at = np.zeros(span.shape[1]) if start is None else start
    here = function(span @ at)
    for _ in range(STEPS):
        score = span.T @ here.score
        step = np.linalg.solve(span.T @ here.information @ span, score)
        if score @ step < 2 * close:
            return Fit(span @ at, here.height)
        step *= min(1.0, max(LONGEST, np.abs(at).max()) / np.abs(step).max())
        rounding = 1e-14 * (1 + abs(here.height))
        while (there := function(span @ (at + step))).height < here.height + score @ step / 10 - rounding:
            step /= 2
        if there.height <= here.height + rounding:
            return Fit(span @ at, here.height)
        at, here = at + step, there
    raise ValueError(f"the likelihood found no maximum in {STEPS} steps")
