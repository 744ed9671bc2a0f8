"""Arrays that probes leave: one JSON line per measurement beside a run's points, and one long table of many runs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vapo_core.files import write_whole


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
            with self._path.open("a", encoding="utf-8") as handle:
                handle.write(_line(step, probe, columns))


def read_arrays(path: Path) -> list[Arrays]:
    """Measurements up to the first line that cannot be read; a missing file has none."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(Arrays(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return found


def arrays_table(runs: Iterable[tuple[str, list[Arrays]]]) -> pd.DataFrame:
    """Long rows (spec, step, probe, item, column, value): item counts the rows of one measurement."""
    pieces = []
    for spec, measurements in runs:
        for step, probe, columns in measurements:
            for column, values in columns.items():
                long = pd.DataFrame({"item": range(len(values)), "value": values})
                pieces.append(long.assign(spec=spec, step=step, probe=probe, column=column))
    empty: dict[str, list[Any]] = {name: [] for name in ("item", "column", "value", "spec", "step", "probe")}
    table = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(empty)
    typed = {
        "spec": "category",
        "step": "int64",
        "probe": "category",
        "item": "int64",
        "column": "category",
        "value": "float64",
    }
    return table[list(typed)].astype(typed)


def _line(step: int, probe: str, columns: Mapping[str, list[float]]) -> str:
    return json.dumps({"step": step, "probe": probe, "columns": dict(columns)}) + "\n"
