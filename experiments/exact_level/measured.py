"""The result of an exact-level measurement, and helpers to build its tables."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Measured(NamedTuple):
    """Scalars for the curves, columns for the arrays."""

    metrics: Mapping[str, float]
    """Named exact/..., one value per run; at least one, since a run without points counts as missing."""
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    """Table -> numeric columns of equal length. Stored with six decimals, so small quantities are given as logarithms."""


def columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Convert rows with equal keys to columns."""
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def crossed(curve: Mapping[str, np.ndarray], **fixed: float) -> dict[str, np.ndarray]:
    """Prepend constant columns to columns of equal length."""
    rows = len(next(iter(curve.values())))
    return {**{name: np.full(rows, value, float) for name, value in fixed.items()}, **curve}


def stacked(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenate tables with equal columns."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
