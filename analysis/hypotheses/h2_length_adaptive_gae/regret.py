"""Cost of a rule for lambda in samples, from curves of gradient moments over the credit horizon."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """Moments of a gradient relative to the true one, any shape: as `experiments.exact_level.curves.Curve` has them."""

    along: Array
    power: Array
    noise: Array

    def quality(self, batch: float) -> Array:
        """Q = along^2 / (power + noise / B), in [0, 1] (METHODS.md section 0)."""
        return self.along**2 / (self.power + self.noise / batch)


def wasted(worse: Array, best: Moments, batch: float) -> Array:
    """Share of its B samples that a rule of quality `worse` wastes: 1 - B'/B, the best rule reaching the same with B'.

    Args:
        worse: Q of the rule at B. best: moments of the best rule. batch: B.

    Returns:
        In [0, 1]; 0.1 means that the best rule does with 90 % of the samples.
    """
    room = best.along**2 / np.maximum(worse, 1e-300) - best.power
    return np.clip(1 - best.noise / (batch * np.maximum(room, 1e-300)), 0.0, 1.0)


def best_horizon(horizons: Array, quality: Array) -> Array:
    """Horizon of the highest quality, by a parabola in log h and log Q through the three highest points of a grid.

    Args:
        horizons: [H] rising, geometric. quality: [..., H].

    Returns:
        [...]; an end of the grid where the highest point is there.
    """
    top = quality.argmax(-1)
    inside = np.clip(top, 1, len(horizons) - 2)
    log = np.log(np.maximum(quality, 1e-300))
    low, mid, high = (np.take_along_axis(log, (inside + d)[..., None], -1)[..., 0] for d in (-1, 0, 1))
    bend = low - 2 * mid + high
    shift = np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, 1.0), 0.0)
    step = np.log(horizons[1] / horizons[0])
    found = horizons[inside] * np.exp(np.clip(shift, -1, 1) * step)
    return np.where(top == inside, found, horizons[top])


def on_curve(horizons: Array, curve: Array, wanted: Array) -> Array:
    """A quantity [..., H] read at horizons `wanted` [..., K], linear in log h; ends of the grid beyond it."""
    place = np.log(np.clip(wanted, horizons[0], horizons[-1]) / horizons[0]) / np.log(horizons[1] / horizons[0])
    left = np.minimum(place.astype(int), len(horizons) - 2)
    share = place - left
    low, high = (np.take_along_axis(curve, left + d, -1) for d in (0, 1))
    return (1 - share) * low + share * high
