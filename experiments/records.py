"""Local records: one JSON line per point, flushed as it comes. They are the truth; MLflow gets the same points."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from vapo_core.files import write_whole

Points = list[tuple[int, dict[str, float]]]
"""(RL steps finished, named numbers), in order."""


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
        self._handle = path.open("a", encoding="utf-8")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a point."""
        self._handle.write(_line(step, metrics))
        self._handle.flush()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


def read_points(path: Path) -> Points:
    """Points of a JSON-lines record up to the first line that cannot be read; a missing file has none."""
    if not path.exists():
        return []
    points = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            points.append((int(entry["step"]), dict(entry["metrics"])))
        except (ValueError, KeyError, TypeError):
            break
    return points


def _line(step: int, metrics: Mapping[str, float]) -> str:
    return json.dumps({"step": step, "metrics": dict(metrics)}) + "\n"
