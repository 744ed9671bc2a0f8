"""Tables of the exact level: rows of runs.csv by measurement, and their arrays as one wide table."""

from typing import Any

import pandas as pd

from analysis.tables.rows import having
from analysis.tables.schema import Tables


def measured(tables: Tables, measure: str, **wanted: Any) -> pd.DataFrame:
    """Runs of the exact level that measured this, with these columns (dots written as double underscores)."""
    columns = {name.replace("__", "."): value for name, value in wanted.items()}
    return having(tables.runs, {"world": "exact", "task": measure, **columns})


def arrays(tables: Tables, runs: pd.DataFrame, table: str) -> pd.DataFrame:
    """The rows that these runs left in a table, a column per quantity, `spec` and `seed` beside them; by seed and item."""
    long = tables.probes
    keep = ((long["probe"] == f"exact/{table}") & long["spec"].isin(runs["spec"])).to_numpy(bool)
    part = long[keep]
    if not len(part):
        return pd.DataFrame(columns=["spec", "seed"])
    part = part.assign(spec=part["spec"].astype(str), column=part["column"].astype(str))
    wide = part.pivot(index=["spec", "item"], columns="column", values="value").reset_index("spec")
    wide["seed"] = wide["spec"].map(dict(zip(runs["spec"], runs["seed"], strict=True)))
    return wide.sort_values("seed", kind="stable").reset_index(drop=True)


def at(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Rows with these values; `lam` stands for the column lambda."""
    return having(table, {"lambda" if name == "lam" else name: value for name, value in wanted.items()})


def per_seed(table: pd.DataFrame, value: str) -> pd.Series:
    """[S] a quantity by seed, mean over a seed's rows, seeds with a missing one left out."""
    if value not in table:
        return pd.Series(dtype=float)
    return table.groupby("seed")[value].agg(lambda x: x.mean(skipna=False)).dropna()
