"""From records to tables: `runs.csv`, one row per finished spec, and `curves.parquet`, every named metric of every point."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.run import finished_row
from experiments.spec import RunSpec
from experiments.track import read_points
from vapo_core.files import write_whole, write_whole_bytes


def collect(specs: Iterable[RunSpec], runs: Path, out: Path) -> int:
    """Write the tables of these specs' finished runs into `out`; returns the number of rows."""
    rows: list[dict[str, Any]] = []
    curves: list[pd.DataFrame] = []
    for spec in specs:
        row = finished_row(spec, runs)
        if row is None:
            continue
        rows.append(row)
        curves.append(curve_rows(spec.hash, runs / spec.hash / "metrics.jsonl"))
    write_tables(pd.DataFrame(rows), _stack(curves), out)
    return len(rows)


def curve_rows(name: str, path: Path) -> pd.DataFrame:
    """Long rows (spec, step, metric, value) of one record."""
    long = [(name, step, metric, value) for step, metrics in read_points(path) for metric, value in metrics.items()]
    return pd.DataFrame(long, columns=["spec", "step", "metric", "value"])


def write_tables(rows: pd.DataFrame, curves: pd.DataFrame, out: Path) -> None:
    """Both tables, each whole or not at all."""
    buffer = io.BytesIO()
    curves.to_parquet(buffer, index=False)
    write_whole_bytes(out / "curves.parquet", buffer.getvalue())
    write_whole(out / "runs.csv", rows.to_csv(index=False))


def _stack(curves: list[pd.DataFrame]) -> pd.DataFrame:
    empty = pd.DataFrame({"spec": [], "step": [], "metric": [], "value": []})
    table = pd.concat(curves, ignore_index=True) if curves else empty
    return table.astype({"spec": "category", "metric": "category"})
