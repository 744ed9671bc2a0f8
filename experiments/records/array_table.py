"""Arrays recorded by probes, as one long table of many runs."""

from collections.abc import Iterable
from typing import IO

import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from experiments.records.arrays import Arrays


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
