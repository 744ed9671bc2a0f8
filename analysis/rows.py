"""Rows of runs.csv by what they are, and curves by run. A column that a table lacks matches nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.schema import COMPONENTS, Tables

Wanted = Mapping[str, Any]
"""Column -> value, or a tuple of values any of which will do; numbers match to a relative 1e-6."""


def full_vapo(*off: str) -> dict[str, Any]:
    """Columns of recipe vapo with these components off and no variant of a slot."""
    return {"recipe": "vapo", "variants": "", **{name: name not in off for name in COMPONENTS}}


def having(runs: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """The rows with these values, in their order; the columns are there even where no row is."""
    missing = [column for column in wanted if column not in runs]
    if missing:
        return runs.iloc[:0].reindex(columns=[*runs.columns, *missing])
    keep = np.ones(len(runs), bool)
    for column, value in wanted.items():
        values = value if isinstance(value, tuple) else (value,)
        keep &= np.logical_or.reduce([_equal(runs[column], one) for one in values])
    return runs[keep]


def _equal(column: pd.Series, value: Any) -> np.ndarray:
    if isinstance(value, (bool, str)):
        return (column == value).fillna(False).to_numpy(bool)
    return np.isclose(pd.to_numeric(column, errors="coerce").to_numpy(float), value, rtol=1e-6)


def by_seed(runs: pd.DataFrame, columns: str | Sequence[str], value: str = "auc") -> pd.DataFrame:
    """[S, M] a value per seed and setting, settings rising, seeds that all settings have; a pair of columns makes M pairs."""
    wide = runs.pivot_table(index="seed", columns=columns, values=value, aggfunc="first")
    return wide.dropna()


def series(tables: Tables, specs: Sequence[str] | pd.Series, metric: str) -> pd.DataFrame:
    """[N, steps] a metric's values, a row per run in this order and a column per RL step, rising; nan where not measured."""
    chosen = (tables.curves["metric"] == metric).to_numpy()
    names, steps, values = (tables.curves[name][chosen].to_numpy() for name in ("spec", "step", "value"))
    wanted = pd.Index(list(specs), dtype=object)
    row = wanted.get_indexer(pd.Index(names, dtype=object))  # in place of a pivot, which takes ten times as long
    known = row >= 0
    columns, column = np.unique(steps[known], return_inverse=True)
    found = np.full((len(wanted), len(columns)), np.nan)
    found[row[known], column] = values[known]
    return pd.DataFrame(found, index=wanted, columns=columns)


def at_step(tables: Tables, specs: Sequence[str] | pd.Series, metric: str, last: bool = True) -> np.ndarray:
    """[N] a metric at its last step of each run, or at the first; nan for a run without it."""
    values = series(tables, specs, metric).to_numpy(float)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    order = values[:, ::-1] if last else values
    known = ~np.isnan(order)
    return np.where(known.any(1), order[np.arange(len(order)), known.argmax(1)], np.nan)


def ends(tables: Tables, runs: pd.DataFrame, metric: str) -> np.ndarray:
    """[N, 2] a metric before the first and after the last step of runs [N]; nan where it was not measured."""
    wide = series(tables, runs["spec"], metric)
    found = np.full((len(wide), 2), np.nan)
    for at, step in enumerate((np.zeros(len(runs)), runs["steps"].to_numpy(float))):
        column = wide.columns.get_indexer(pd.Index(step))
        known = column >= 0
        found[known, at] = wide.to_numpy(float)[known, column[known]]
    return found


def crossing(steps: np.ndarray, values: np.ndarray, height: float) -> float:
    """First place, linear between points, at which values [n] reach a height; their first step if above it; nan if never."""
    known = ~np.isnan(values)
    steps, values = steps[known], values[known]
    above = np.flatnonzero(values >= height)
    if not above.size:
        return float("nan")
    at = int(above[0])
    if not at:
        return float(steps[0])
    share = (height - values[at - 1]) / (values[at] - values[at - 1])
    return float(steps[at - 1] + share * (steps[at] - steps[at - 1]))
