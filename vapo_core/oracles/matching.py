"""Weights that make two sets of places alike in what they should not differ by, such as length and true value."""

import numpy as np

NEWTON_STEPS, TOLERANCE, WORST_CONDITION = 50, 1e-9, 1e10
"""Of the search for a tilt."""


def overlap_weights(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights under which both sets have the distribution min(p_one(c), p_other(c)) over cells, each summing to 1.

    A place of cell c weighs min(p_one(c), p_other(c)) / p_own(c): cells that one set lacks count in neither, and none
    counts more than it did before scaling (overlap in the sense of Crump et al. 2009; no weight can explode).

    Args:
        one: [N] int cell of each place.
        other: [M] likewise.

    Returns:
        [N] and [M]; all 0 if the sets share no cell.
    """
    number = int(max(one.max(), other.max())) + 1
    shares = [np.bincount(cells, minlength=number) / len(cells) for cells in (one, other)]
    common = np.minimum(*shares)
    total = common.sum()
    if total == 0:
        return np.zeros(len(one)), np.zeros(len(other))
    weights = [common[c] / share[c] / len(c) / total for c, share in zip((one, other), shares, strict=True)]
    return weights[0], weights[1]


def balanced(weights: np.ndarray, guide: np.ndarray, moments: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights tilted, w exp(a . guide), until the weighted mean of `moments` is `target`; sums to 1.

    What noise in the guide leaves apart (places that look alike are not alike where one set holds fewer of the good), this
    brings together on average. Weights follow the guide alone, so noise of `moments` enters through a handful of numbers.
    Where no tilt reaches the target, the weights stay as they are.

    Args:
        weights: [N], not all 0.
        guide: [N, D] what weights may depend on.
        moments: [N, D] unbiased for what is to agree, their noise independent of the guide's.
        target: [D].
    """
    centred, tilt = guide - weights @ guide / weights.sum(), np.zeros(guide.shape[1])
    for _ in range(NEWTON_STEPS):
        with np.errstate(over="ignore", invalid="ignore"):
            tilted = weights * np.exp(centred @ tilt)
            tilted /= tilted.sum()
        gap = target - tilted @ moments
        slope = (moments * tilted[:, None]).T @ (centred - tilted @ centred)
        if not np.isfinite(gap).all() or np.linalg.cond(slope) > WORST_CONDITION:
            return weights / weights.sum()
        if np.abs(gap).max() < TOLERANCE:
            return tilted
        tilt = tilt + np.linalg.solve(slope, gap)
    return weights / weights.sum()


def effective_share(weights: np.ndarray) -> float:
    """(sum w)^2 / (n sum w^2): 1 for equal weights, 1/n if one place has all, 0 if none has any."""
    squares = float(len(weights) * (weights**2).sum())
    return float(weights.sum() ** 2) / squares if squares else 0.0


def cells_of(columns: list[np.ndarray], others: list[np.ndarray], bins: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Joint cells of two sets: each column cut at quantiles of both sets together, each set counting half.

    Args:
        columns: numbers of the first set, [N] each.
        others: the same of the second, [M] each.
        bins: bins of equal weight per column; fewer where values are tied.
    """
    first, second = np.zeros(len(columns[0]), int), np.zeros(len(others[0]), int)
    for x, y, number in zip(columns, others, bins, strict=True):
        edges = np.unique(_halved_quantiles(x, y, number))
        first = first * (number + 1) + np.searchsorted(edges, x, side="left")
        second = second * (number + 1) + np.searchsorted(edges, y, side="left")
    return first, second


def _halved_quantiles(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    """Inner quantiles of an even mixture of two samples."""
    values = np.concatenate([x, y])
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(np.concatenate([np.full(len(x), 0.5 / len(x)), np.full(len(y), 0.5 / len(y))])[order])
    at = np.searchsorted(mass, np.arange(1, number) / number - 1e-12)
    return values[order][at]
