"""Arrays recorded by probes: one JSON line per measurement, beside a run's points."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

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


def _line(step: int, probe: str, columns: Mapping[str, list[float]]) -> str:
    return json.dumps({"step": step, "probe": probe, "columns": dict(columns)}) + "\n"
