"""Where a run was started, to which relative paths in its spec refer. Stored beside the spec, so that its hash is unchanged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.specs.spec import RunSpec, TaskSpec
from vapo_core.files import write_whole
from vapo_core.reading import reading
from vapo_core.settings import BASE_SIZES

PATH_DIALS = ("path", "held_out_path")
"""Dials of tasks that are files or folders."""


def keep_origin(run_dir: Path) -> None:
    """Record the working directory in a run's folder, the first time it is worked on."""
    if not (run_dir / "origin.json").exists():
        write_whole(run_dir / "origin.json", json.dumps({"folder": str(Path.cwd())}, indent=2))


def places(run_dir: Path) -> list[Path]:
    """Folders in which a run's relative paths are looked for, in this order.

    First where it was started: a file of the same name elsewhere may be another one. Of a run that does not say, the working
    directory, then the folder that its folder of records is in.

    Raises:
        ValueError: if the record cannot be read.
    """
    record = run_dir / "origin.json"
    if not record.is_file():
        return [Path.cwd(), run_dir.resolve().parent.parent]
    with reading(record):
        return [Path(json.loads(record.read_text(encoding="utf-8"))["folder"]), Path.cwd()]


def located(spec: RunSpec, run_dir: Path) -> RunSpec:
    """A spec by which its run can be built from any working directory; never hash it.

    Args: run_dir, the run's folder.

    Raises:
        ValueError: if a file or folder with the task's data is in none of `places`.
    """
    dials = located_dials(spec.task.dials, run_dir)
    check_found(dials, run_dir)
    base = {"model": spec.base.model, "critic": spec.base.critic}
    here = {name: value if value in (*BASE_SIZES, "policy") else _found(value, run_dir) for name, value in base.items()}
    task = TaskSpec(name=spec.task.name, dials=dials)
    return spec.model_copy(update={"task": task, "base": spec.base.model_copy(update=here)})


def located_dials(dials: Mapping[str, Any], run_dir: Path) -> dict[str, Any]:
    """Dials with paths that lead to the run's data from here; as given where there are none."""
    return {name: _found(value, run_dir) if name in PATH_DIALS else value for name, value in dials.items()}


def check_found(dials: Mapping[str, Any], run_dir: Path) -> None:
    """Refuse a relative path of dials that leads nowhere.

    Raises:
        ValueError: naming the dial and the places.
    """
    for name in PATH_DIALS:
        value = dials.get(name, "")
        if value and not Path(value).is_absolute() and not Path(value).exists():
            first, second = places(run_dir)
            others = "" if first == second else f" nor in {second}"
            raise ValueError(
                f"dials.{name} = {value!r}: no such file or folder in {first}{others}; give an absolute path"
            )


def _found(value: str, run_dir: Path) -> str:
    """A path as given where that leads to it, or to nothing; else the absolute one in the first place that has it."""
    if not value or Path(value).is_absolute():
        return value
    first = next((place for place in places(run_dir) if (place / value).exists()), Path.cwd())
    return value if first == Path.cwd() else str(first / value)
