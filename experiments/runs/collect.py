"""Tables of finished runs: `runs.csv`, a row per spec, `curves.parquet`, every named metric, and `probes.parquet`.

From the local records or from an MLflow store; both give the same tables.
"""

import io
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from experiments.records.array_table import write_arrays
from experiments.records.arrays import Arrays, measurement, read_arrays
from experiments.records.points import Points, damage, read_points
from experiments.runs.repair import curve_damage, read_row
from experiments.specs.exact import AnySpec
from experiments.tracking.stored import stored_runs
from vapo_core.files import whole_file, write_whole, write_whole_bytes


class Finished(NamedTuple):
    """One finished run."""

    row: dict[str, Any]
    points: Points
    arrays: Callable[[], list[Arrays]]
    """Read when they are written: those of a large grid do not fit in memory together."""


def from_records(specs: Iterable[AnySpec], runs: Path) -> list[Finished]:
    """Finished runs among these specs, in their order; one whose curve is not whole is none."""
    found = []
    for spec in specs:
        run_dir = runs / spec.hash
        row = read_row(run_dir)
        if row is not None and not curve_damage(spec, row, run_dir):
            found.append(
                Finished(row, read_points(run_dir / "metrics.jsonl"), partial(_arrays, run_dir / "probes.jsonl"))
            )
    return found


def _arrays(path: Path) -> list[Arrays]:
    """Measurements of a record; a line that cannot be read is reported."""
    if damaged := damage(path, measurement):
        print(f"warning: {damaged}", file=sys.stderr)
    return read_arrays(path)


def from_mlflow(uri: str, study: str, order: Sequence[str] | None = None) -> list[Finished]:
    """Finished runs of a study in an MLflow store, each spec once.

    Args:
        order: spec hashes in the order wanted, the rest left out; all runs, by hash, if not given.

    Raises:
        ValueError: if the store has no such study.
    """
    found = {row["spec"]: Finished(row, points, arrays) for row, points, arrays in stored_runs(uri, study)}
    return [found[name] for name in (sorted(found) if order is None else order) if name in found]


def collect(specs: Iterable[AnySpec], runs: Path, out: Path) -> int:
    """Write the tables of these specs' finished runs into `out`; returns the number of rows."""
    return write_tables(from_records(specs, runs), out)


def write_tables(finished: Sequence[Finished], out: Path) -> int:
    """The tables, each written atomically; returns the number of rows."""
    _write_parquet(curves_table(finished), out / "curves.parquet")
    with whole_file(out / "probes.parquet") as sink:
        write_arrays(((run.row["spec"], run.arrays()) for run in finished), sink)
    write_whole(out / "runs.csv", pd.DataFrame([run.row for run in finished]).to_csv(index=False))
    return len(finished)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_whole_bytes(path, buffer.getvalue())


def curves_table(finished: Iterable[Finished]) -> pd.DataFrame:
    """Long rows (spec, step, metric, value), in the order of runs, steps and metric names."""
    long = [
        (run.row["spec"], step, metric, value)
        for run in finished
        for step, metrics in run.points
        for metric, value in sorted(metrics.items())
    ]
    table = pd.DataFrame(long, columns=["spec", "step", "metric", "value"])
    return table.astype({"spec": "category", "step": "int64", "metric": "category", "value": "float64"})
