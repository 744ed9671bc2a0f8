"""Samples until a metric first reached a level; runs that never did are censored."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.tables.rows import crossing, series
from analysis.tables.schema import Tables


class Times(NamedTuple):
    """When runs got there."""

    samples: np.ndarray
    """[N] responses; all of a run that did not."""
    seen: np.ndarray
    """[N] bool."""


def times(tables: Tables, runs: pd.DataFrame, metric: str, height: float) -> Times:
    """Responses until a metric first reaches a height, linear between evaluations."""
    wide = series(tables, runs["spec"], metric)
    steps = wide.columns.to_numpy(float)
    found = np.array([crossing(steps, row, height) for row in wide.to_numpy(float)])
    seen, each = ~np.isnan(found), runs["settings.responses_per_step"].to_numpy(float)
    return Times(np.where(seen, found, runs["steps"].to_numpy(float)).clip(min=0.1) * each, seen)


def shared(parts: Sequence[pd.DataFrame], key: str) -> tuple[pd.DataFrame, ...]:
    """Rows of seeds that every part has in all of its cells `key`; none where a part has no rows."""
    if not all(len(part) for part in parts):
        return tuple(_none(part, key) for part in parts)
    seeds, row = np.unique(np.concatenate([part["seed"].to_numpy() for part in parts]), return_inverse=True)
    cells, column = np.unique(np.concatenate([part[key].to_numpy() for part in parts]), return_inverse=True)
    which = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    there = np.zeros((len(parts), len(seeds), len(cells)), bool)
    there[which, row, column] = True
    in_all = seeds[there.all((0, 2))]
    return tuple(part[part["seed"].isin(in_all)] for part in parts)


def paired(arm: pd.DataFrame, reference: pd.DataFrame, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the pairs of seed and cell `key` that both have: cells may have unequal numbers of seeds."""
    if not (len(arm) and len(reference)):
        return _none(arm, key), _none(reference, key)
    names = [pd.MultiIndex.from_frame(part[["seed", key]]) for part in (arm, reference)]
    common = names[0].intersection(names[1])
    return arm[names[0].isin(common)], reference[names[1].isin(common)]


def _none(part: pd.DataFrame, key: str) -> pd.DataFrame:
    """No rows, with the columns and the key."""
    return part.iloc[:0].reindex(columns=list(dict.fromkeys([*part.columns, key])))
