"""What a measurement of the exact level gives back."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Measured(NamedTuple):
    """Scalars for the curves, columns for the arrays."""

    metrics: Mapping[str, float]
    """Named exact/..., one value for the whole run; at least one, since a run without points counts as none."""
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    """Table -> equally long columns of numbers. Written to six decimals: give logarithms of what may be small."""


def columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Rows with equal keys as columns."""
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def crossed(curve: Mapping[str, np.ndarray], **fixed: float) -> dict[str, np.ndarray]:
    """Equally long columns with columns of one constant each put before them."""
    rows = len(next(iter(curve.values())))
    return {**{name: np.full(rows, value, float) for name, value in fixed.items()}, **curve}


def stacked(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Tables with equal columns, one below the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
