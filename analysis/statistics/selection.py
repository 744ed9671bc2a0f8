"""The score of the best of several settings, without selection bias."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class CrossFitted(NamedTuple):
    """What the best setting is worth on seeds that did not choose it."""

    scores: NDArray[np.float64]
    """[S] per seed, the score of the setting that the other half of the seeds chose, mean over splits."""
    chosen: NDArray[np.int_]
    """[splits, 2] setting chosen by either half."""


def cross_fitted(
    scores: ArrayLike, rng: np.random.Generator, splits: int = 10, by: ArrayLike | None = None
) -> CrossFitted:
    """Best of M settings, chosen by the mean over one half of the seeds and scored on the other, both ways round.

    The plain maximum over settings of the mean over S seeds exceeds the truth: by 0.47 sd for 9 equal settings and 10
    seeds, E max of 9 normals being 1.49. Each entry here is fair, for a choice made by half of the seeds; an interval
    over the [S] entries does not count that choice as uncertain.

    Args:
        scores: [S, M], higher is better; the largest mean is chosen, the first of equals.
        rng: splits seeds in halves; an equal generator state splits equally, so that two grids can share halves.
        splits: random halvings averaged over.
        by: [S, M] scores that the choice is made by, in place of those that count.

    Raises:
        ValueError: with fewer than two seeds or without settings, or if `by` is of another shape.
    """
    table = np.asarray(scores, float)
    chooser = table if by is None else np.asarray(by, float)
    if chooser.shape != table.shape:
        raise ValueError(f"by: shape {chooser.shape}, not that of the scores, {table.shape}")
    if table.ndim != 2 or len(table) < 2 or not table.shape[1]:
        raise ValueError(f"scores [S, M] of at least 2 seeds are expected, not shape {table.shape}")
    found, chosen = np.zeros((splits, len(table))), np.zeros((splits, 2), int)
    for split in range(splits):
        order = rng.permutation(len(table))
        halves = order[: len(table) // 2], order[len(table) // 2 :]
        for side, (choosing, scoring) in enumerate((halves, halves[::-1])):
            chosen[split, side] = chooser[choosing].mean(axis=0).argmax()
            found[split, scoring] = table[scoring, chosen[split, side]]
    return CrossFitted(found.mean(axis=0), chosen)
