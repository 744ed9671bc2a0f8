"""Arrays that probes leave: one JSON line per measurement beside a run's points, and one long table of many runs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from experiments.records.points import readable
from vapo_core.files import naming, write_whole


class Arrays(NamedTuple):
    """One measurement of one probe."""

    step: int
    """RL steps finished."""
    probe: str
    columns: dict[str, list[float]]
    """Equally long columns."""


class ProbeLines:
    """Appends measurements as they come."""

    def __init__(self, path: Path, keep_through: int = -1) -> None:
        """Args: keep_through, the last step of an earlier attempt to keep; -1 starts afresh."""
        kept = [line for line in read_arrays(path) if line.step <= keep_through]
        self._path = path
        if kept or path.exists():
            write_whole(path, "".join(_line(*line) for line in kept))

    def write(self, step: int, probe: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Append a measurement; one without arrays leaves nothing."""
        if arrays:
            columns = {name: np.round(np.asarray(x, float), 6).tolist() for name, x in arrays.items()}
            with naming(self._path), self._path.open("a", encoding="utf-8") as handle:
                handle.write(_line(step, probe, columns))


def read_arrays(path: Path) -> list[Arrays]:
    """Measurements up to the first line that cannot be read; a missing file has none."""
    return readable(path, measurement)


def measurement(line: str) -> Arrays | None:
    """What a line says, None if it is no measurement."""
    try:
        found = Arrays(**json.loads(line))
        kinds = {type(x) for column in found.columns.values() for x in column}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return found if type(found.step) is int and isinstance(found.probe, str) and kinds <= {float, int} else None


def write_arrays(runs: Iterable[tuple[str, list[Arrays]]], sink: IO[bytes]) -> None:
    """Parquet of long rows (spec, step, probe, item, column, value): item counts the rows of one measurement.

    One run after the other: the arrays of a large grid do not fit in memory together.
    """
    with ParquetWriter(sink, SCHEMA) as writer:
        for spec, measurements in runs:
            if measurements:
                writer.write_table(_long(spec, measurements))


_NAME = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [("spec", _NAME), ("step", pa.int64()), ("probe", _NAME), ("item", pa.int64()), ("column", _NAME),
     ("value", pa.float64())]
)  # fmt: skip
"""Columns of probes.parquet."""


def _long(spec: str, measurements: list[Arrays]) -> pa.Table:
    """The rows of one run."""
    pieces = [
        pd.DataFrame({"step": step, "probe": probe, "item": range(len(values)), "column": column, "value": values})
        for step, probe, columns in measurements
        for column, values in columns.items()
    ]
    table = pd.concat(pieces, ignore_index=True).assign(spec=spec)
    return pa.Table.from_pandas(table[SCHEMA.names], SCHEMA, preserve_index=False)


def _line(step: int, probe: str, columns: Mapping[str, list[float]]) -> str:
    return json.dumps({"step": step, "probe": probe, "columns": dict(columns)}) + "\n"
