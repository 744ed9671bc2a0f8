"""Content hashes of a run's inputs: its spec names base, critic and data by paths, whose content may change."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from experiments.specs.exact import AnySpec, ExactSpec
from vapo_core.contents import checkpoint_files, data_files
from vapo_core.files import set_aside, write_whole
from vapo_core.settings import BASE_SIZES, Base
from vapo_core.tasks import TASKS
from vapo_core.tasks.known_by import places_of

NAME = "inputs.json"
"""File of a run's folder; there is none where a spec names nothing outside."""


class Change(NamedTuple):
    """What a run read is not what is there now."""

    field: str
    path: str
    files: tuple[str, ...]
    """Files that hold something else, are gone or have come."""

    def __str__(self) -> str:
        first, *more = self.files
        which = self.path if Path(self.path).name == first else f"{self.path}/{first}"
        verb = f" and {len(more)} more files have" if more else " has"
        return f"{self.field}: {which}{verb} changed"


def record_inputs(spec: AnySpec, runs: Path) -> None:
    """Write down what a run is about to read; a checkpoint made of other content is set aside, said in one line."""
    run_dir, now = runs / spec.hash, _outside(spec, runs)
    changed, checkpoint = changes(spec, runs), run_dir / "checkpoint"
    if changed and checkpoint.exists():
        set_aside(checkpoint, f"{changed[0]} since it was written", "the run restarts")
    if now:
        content = {field: {"path": path, "files": files} for (field, path), files in now.items()}
        write_whole(run_dir / NAME, json.dumps(content, indent=2))


def changes(spec: AnySpec, runs: Path) -> list[Change]:
    """Inputs that have changed since a run read them; deleted ones are left out."""
    before = _recorded(runs / spec.hash / NAME)
    now = _outside(spec, runs) if before else {}
    pairs = [(key, before[key], files) for key, files in now.items() if key in before]
    found = [(key, sorted(name for name in {*old, *new} if old.get(name) != new.get(name))) for key, old, new in pairs]
    return [Change(*key, tuple(files)) for key, files in found if files]


def say_changes(finished: Sequence[AnySpec], runs: Path) -> None:
    """One line on stderr per file that changed after finished runs read it."""
    found: dict[Change, list[str]] = {}
    for spec in finished:
        for change in changes(spec, runs):
            found.setdefault(change, []).append(spec.hash)
    for change, names in found.items():
        first, more = names[0], len(names) - 1
        others = f" and {more} more runs" if more else ""
        print(
            f"warning: {change} since run {first}{others} read it; its results used the earlier content;"
            f" remove {runs / first}{' and the others' if more else ''} to run again",
            file=sys.stderr,
        )


def _outside(spec: AnySpec, runs: Path) -> dict[tuple[str, str], dict[str, str]]:
    """(field, path) -> content of the files there, of every field that names some that are there."""
    if isinstance(spec, ExactSpec):
        return {}
    dials = TASKS[spec.task.name].dials(**spec.task.dials)
    data = {f"dials.{name}": getattr(dials, name) for name in places_of(dials)}
    places = {field: Path(path) for field, path in data.items() if path}
    read = [(field, path, data_files(path)) for field, path in places.items()]
    read += [(field, path, checkpoint_files(path)) for field, path in _checkpoints(spec.base, runs).items()]
    return {(field, str(path.absolute())): files for field, path, files in read if files}


def _checkpoints(base: Base, runs: Path) -> dict[str, Path]:
    found = {} if base.model in BASE_SIZES else {"base.model": Path(base.model)}
    if base.critic != "policy":
        from vapo_core.worlds import critic_checkpoint

        with suppress(ValueError):  # an earlier run that is there no more
            found["base.critic"] = Path(str(critic_checkpoint(base.critic, runs)))
    return found


def _recorded(path: Path) -> Mapping[tuple[str, str], dict[str, str]]:
    """What a run wrote down; nothing if that cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {(field, entry["path"]): dict(entry["files"]) for field, entry in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
