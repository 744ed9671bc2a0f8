"""Selection of rows of runs.csv by their columns, and curves by run. A column that a table lacks matches nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.tables.schema import COMPONENTS, Tables

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
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "bif":  # most columns: pandas takes thrice as long
        values = column.to_numpy()
        return values == value if isinstance(value, (bool, str)) else _close(values.astype(float), value)
    if isinstance(value, (bool, str)):
        return (column == value).to_numpy(bool, na_value=False)
    return _close(pd.to_numeric(column, errors="coerce").to_numpy(float), value)


def _close(values: np.ndarray, value: float) -> np.ndarray:
    """As numpy.isclose for a finite value."""
    return np.abs(values - value) <= 1e-8 + 1e-6 * abs(value)


def by_seed(runs: pd.DataFrame, columns: str | Sequence[str], value: str = "auc") -> pd.DataFrame:
    """[S, M] a value per seed and setting, settings rising, seeds that all settings have; a pair of columns makes M pairs."""
    names = [columns] if isinstance(columns, str) else list(columns)
    wide = runs.groupby(["seed", *names])[value].first().unstack(names)  # a pivot_table, in half its time
    return wide.dropna(axis=1, how="all").dropna()


def series(tables: Tables, specs: Sequence[str] | pd.Series, metric: str) -> pd.DataFrame:
    """[N, steps] a metric's values, a row per run in this order and a column per RL step, rising; nan where not measured.

    Raises:
        ValueError: if a run is asked for twice.
    """
    chosen = np.flatnonzero((tables.curves["metric"] == metric).to_numpy())
    steps, values = (tables.curves[name].to_numpy()[chosen] for name in ("step", "value"))
    names = tables.curves["spec"].astype("category").cat  # a pivot takes twenty times as long
    wanted = pd.Index(specs)
    if not wanted.is_unique:
        raise ValueError(f"run {wanted[wanted.duplicated()][0]} is asked for twice")
    row_of = np.full(len(names.categories) + 1, -1)  # its end is the place of specs without curves
    row_of[names.categories.get_indexer(wanted)] = np.arange(len(wanted))
    row_of[-1] = -1
    row = row_of[names.codes.to_numpy()[chosen]]
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
