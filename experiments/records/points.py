"""Local records: one JSON line per point, flushed as it comes. They are the truth; MLflow gets the same points."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vapo_core.files import naming, write_whole

Points = list[tuple[int, dict[str, float]]]
"""(RL steps finished, named numbers), in order."""

Entry = TypeVar("Entry")


class Logger(Protocol):
    """Anything a run can write to."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record named numbers after `step` RL steps."""
        ...


class Memory:
    """Keeps points in a list."""

    def __init__(self) -> None:
        self.points: Points = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a point."""
        self.points.append((step, dict(metrics)))


class JsonLines:
    """One line per point, flushed as it comes: what survives a crash."""

    def __init__(self, path: Path, keep_through: int = -1) -> None:
        """Args: keep_through, the last step of an earlier attempt to keep; -1 starts afresh."""
        kept = [point for point in read_points(path) if point[0] <= keep_through]
        write_whole(path, "".join(_line(*point) for point in kept))  # a kill here must not lose what was kept
        self._path, self._handle = path, path.open("a", encoding="utf-8")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a point."""
        with naming(self._path):
            self._handle.write(_line(step, metrics))
            self._handle.flush()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


def read_points(path: Path) -> Points:
    """Points of a JSON-lines record up to the first line that cannot be read; a missing file has none."""
    return readable(path, _point)


def readable(path: Path, parse: Callable[[str], Entry | None]) -> list[Entry]:
    """What `parse` makes of a file's lines, up to the first of which it makes nothing; a missing file has none."""
    found = []
    for line in _lines(path):
        entry = parse(line)
        if entry is None:
            break
        found.append(entry)
    return found


def damage(path: Path, parse: Callable[[str], Any] | None = None) -> str:
    """Which line of a record cannot be read, in words; "" if all can, or only the last was cut short as it was written.

    Args:
        path: a JSON-lines record; "" if there is none.
        parse: as `readable` takes it; points if not given.
    """
    if path.exists() and not path.is_file():
        return f"{path}: not a file"
    lines, parsed = _lines(path), len(readable(path, parse or _point))
    if parsed == len(lines) or (parsed == len(lines) - 1 and not path.read_bytes().endswith(b"\n")):
        return ""
    return f"{path}: line {parsed + 1} of {len(lines)} cannot be read; this line and everything after it are ignored"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _point(line: str) -> tuple[int, dict[str, float]] | None:
    """What a line says, None if it is no point."""
    try:
        entry = json.loads(line)
        step, metrics = entry["step"], entry["metrics"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(step) is not int or not isinstance(metrics, dict) or not all(map(is_finite, metrics.values())):
        return None
    return step, metrics


def is_finite(x: object) -> bool:
    """Whether something read from a record is a number that a table can hold, and not nan."""
    return isinstance(x, (int, float)) and abs(x) <= sys.float_info.max


def _line(step: int, metrics: Mapping[str, float]) -> str:
    return json.dumps({"step": step, "metrics": dict(metrics)}) + "\n"
