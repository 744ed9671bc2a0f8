"""What a folder of records holds: finished and unfinished runs, found by (part of) their name."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from experiments.exact import AnySpec, ExactSpec, read_spec
from experiments.spec import RunSpec


class Entry(NamedTuple):
    """One run's folder."""

    home: Path
    spec: AnySpec
    row: dict[str, Any] | None
    """None while it is not finished."""

    @property
    def trained(self) -> RunSpec:
        """The spec of a trained run.

        Raises:
            ValueError: for a run of the exact level, which has no policy to look at.
        """
        if isinstance(self.spec, ExactSpec):
            raise ValueError(f"run {self.spec.hash} is of the exact level ({self.spec.arm}): nothing was trained in it")
        return self.spec

    @property
    def state(self) -> str:
        """finished, diverged or unfinished."""
        return self.row["state"] if self.row else "unfinished"


def entries(runs: Path) -> list[Entry]:
    """Every run in a folder of records, the latest first.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not runs.is_dir():
        raise FileNotFoundError(f"no folder {runs}")
    homes = sorted((p.parent for p in runs.glob("*/spec.json")), key=lambda p: -(p / "spec.json").stat().st_mtime)
    return [entry for entry in map(_entry, homes) if entry is not None]


def find(runs: Path, name: str) -> Entry:
    """The run whose hash begins with `name`.

    Raises:
        ValueError: if none does, or more than one.
    """
    found = [entry for entry in entries(runs) if entry.home.name.startswith(name)]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise ValueError(f"{what} in {runs} begin with {name!r}; `vapo ls` shows all")
    return found[0]


def _entry(home: Path) -> Entry | None:
    """The run in a folder, or None if its spec is of another version of this code or cut short."""
    try:
        spec = read_spec((home / "spec.json").read_text(encoding="utf-8"))
    except ValueError:
        return None
    try:
        row = json.loads((home / "row.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        row = None
    return Entry(home, spec, row)
