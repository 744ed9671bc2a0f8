"""The runs in a folder: finished, unfinished and damaged ones, found by (part of) their name."""

import re
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from experiments.runs.repair import checked_row, read_object
from experiments.specs.exact import AnySpec, ExactSpec, read_spec
from experiments.specs.options import validation_line
from experiments.specs.spec import PROTOCOLS, RunSpec
from vapo_core.reading import Unreadable, reading

NAME = re.compile(r"[0-9a-f]{16}")
"""A run's folder is named after its spec's hash."""


class RunFolder(NamedTuple):
    """One run's folder."""

    run_dir: Path
    spec: AnySpec
    row: dict[str, Any] | None
    """None while it is not finished."""
    damage: str = ""
    """What is wrong with its row or its name, in a line that names the file."""

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
        """finished, diverged, unfinished, or damaged."""
        if self.row is not None:
            return str(self.row["state"])
        return "damaged" if self.damage and (self.run_dir / "row.json").exists() else "unfinished"


class Unknown(NamedTuple):
    """A run's folder that does not say what was run in it."""

    run_dir: Path
    state: Literal["damaged", "newer"]
    damage: str
    """What is wrong with its spec, in a line that names the file."""


def listing(runs: Path) -> list[RunFolder | Unknown]:
    """Every run in a folder of records, the latest first, with those that cannot be read.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not runs.is_dir():
        raise FileNotFoundError(f"no folder {runs}")
    run_dirs = sorted((path for path in runs.iterdir() if _is_run(path)), key=_began, reverse=True)
    return [_entry(run_dir) for run_dir in run_dirs]


def say_damage(found: list[RunFolder | Unknown]) -> int:
    """One line on stderr for each that cannot be read; returns how many there are."""
    lines = [entry.damage for entry in found if entry.damage]
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
    return len(lines)


def find(runs: Path, name: str) -> RunFolder:
    """The run whose hash begins with `name`; if its row is damaged, a line says so.

    Raises:
        ValueError: if none does, or more than one, or what it was cannot be read.
        FileNotFoundError: if there is no such folder.
    """
    if not runs.is_dir():
        raise FileNotFoundError(f"no folder {runs}")
    run_dirs = [path for path in runs.iterdir() if path.name.startswith(name) and _is_run(path)]
    if len(run_dirs) != 1:
        what = "no run" if not run_dirs else f"{len(run_dirs)} runs"
        raise ValueError(f"{what} in {runs} begin with {name!r}; `vapo ls` shows all")
    entry = _entry(run_dirs[0])
    if isinstance(entry, Unknown):
        raise ValueError(entry.damage)
    say_damage([entry])
    return entry


def _is_run(run_dir: Path) -> bool:
    """Whether a folder holds a run that has got as far as its spec, or anything that calls itself one."""
    if not run_dir.is_dir():
        return False
    return (run_dir / "spec.json").exists() or (bool(NAME.fullmatch(run_dir.name)) and (run_dir / "row.json").exists())


def _began(run_dir: Path) -> float:
    path = run_dir / "spec.json"
    return (path if path.exists() else run_dir).stat().st_mtime


def _entry(run_dir: Path) -> RunFolder | Unknown:
    try:
        spec = _spec(run_dir / "spec.json")
    except (ValueError, OSError) as error:
        return Unknown(run_dir, "newer" if _is_newer(error) else "damaged", _in_words(error))
    if spec.hash != run_dir.name:
        return RunFolder(
            run_dir,
            spec,
            None,
            f"{run_dir / 'spec.json'}: it belongs to run {spec.hash}, but its folder is named {run_dir.name}",
        )
    try:
        row = checked_row(run_dir)
    except (ValueError, OSError) as error:
        return RunFolder(run_dir, spec, None, _in_words(error))
    if row is not None and (row["world"], row["seed"]) != (spec.world, spec.seed):
        return RunFolder(run_dir, spec, None, f"{run_dir / 'row.json'}: world and seed differ from spec.json")
    return RunFolder(run_dir, spec, row)


def _spec(path: Path) -> AnySpec:
    """The spec in a run's folder.

    Raises:
        ValueError: naming the file, if it cannot be read, or is of a newer version.
        OSError: if the system refuses to read it.
    """
    read_object(path)
    try:
        with reading(path):
            spec = read_spec(path.read_text(encoding="utf-8"))
    except Unreadable as error:
        if isinstance(error.__cause__, ValidationError):
            raise Unreadable(f"{path}: {validation_line(error.__cause__)}") from error.__cause__
        raise
    if spec.protocol > PROTOCOLS[spec.world]:
        known = PROTOCOLS[spec.world]
        raise Newer(f"{path}: protocol {spec.protocol} of world {spec.world} is newer than this version's {known}")
    return spec


class Newer(ValueError):
    """A spec of a version of this code that is yet to come."""


def _is_newer(error: Exception) -> bool:
    """Whether a spec could not be read because it says more than this version knows."""
    cause = error.__cause__
    unknown = isinstance(cause, ValidationError) and all(e["type"] == "extra_forbidden" for e in cause.errors())
    return isinstance(error, Newer) or unknown


def _in_words(error: Exception) -> str:
    """One line that names the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
