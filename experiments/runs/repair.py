"""Check a run's records for damage by a crash, a full disk or an edit, and keep what is usable."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.records.points import Points, is_finite, read_points
from experiments.specs.exact import AnySpec, ExactSpec, read_spec
from vapo_core.files import set_aside, write_whole
from vapo_core.reading import Unreadable, reading

NEEDED = ("spec", "world", "state", "seed", "seconds")
"""Without these a row is none."""

SCORED = ("auc", "last")
"""A trained run's has these, too."""


NUMBERS = ("seconds", "first", "last", "auc")
"""Whichever of these a row has are finite numbers."""

MEANS = ("tokens", "mean_length")
"""Whichever of these a row has are numbers, nan where there was nothing to count."""


def read_row(run_dir: Path) -> dict[str, Any] | None:
    """The row in a run's folder, or None if there is none or it makes no sense.

    Raises:
        OSError: if the system refuses to read it, which says nothing about what it holds.
    """
    try:
        return checked_row(run_dir)
    except Unreadable:
        return None


def checked_row(run_dir: Path) -> dict[str, Any] | None:
    """The row in a run's folder, or None if there is none.

    Raises:
        Unreadable: naming the file, if it makes no sense or is another run's.
        OSError: if the system refuses to read it.
    """
    path = run_dir / "row.json"
    if not path.exists():
        return None
    row = read_object(path)
    with reading(path, "not a run's row"):
        _check(row, run_dir.name)
    return row


def timed_rows(runs: Path) -> Iterator[dict[str, Any]]:
    """Every row in a folder of records that says how many seconds its run took; what cannot be read is passed over."""
    for path in runs.glob("*/row.json"):
        with suppress(ValueError, OSError):
            row = read_object(path)
            if is_finite(row.get("seconds")):
                yield row


def read_object(path: Path) -> dict[str, Any]:
    """A file's JSON object.

    Raises:
        Unreadable: naming the file, if it holds anything else, or a key twice.
        OSError: if there is no such file, or the system refuses to read it.
    """
    if path.is_dir():
        raise Unreadable(f"{path}: not a file")
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once_each)
        if not isinstance(content, dict):
            raise ValueError(f"a JSON object was expected, not {str(content)[:40]!r}")
    return content


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object, unless a key is there twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} appears twice")
    return content


def _check(row: Mapping[str, Any], name: str) -> None:
    """Raises ValueError if it is no row of the run of that name."""
    needed = NEEDED if row.get("world") == "exact" else (*NEEDED, *SCORED)
    lacking = [field for field in needed if field not in row]
    if lacking:
        raise ValueError(f"without {lacking[0]!r}")
    if row["spec"] != name:
        raise ValueError(f"it belongs to run {str(row['spec'])[:40]}")
    if row["state"] not in STATES:
        raise ValueError(f"state = {str(row['state'])[:40]!r}, allowed: {', '.join(STATES)}")
    wrong = [field for field in NUMBERS if field in row and not is_finite(row[field])]
    wrong += [field for field in MEANS if field in row and not (is_finite(row[field]) or row[field] != row[field])]
    wrong += [field for field in WHOLE if field in row and type(row[field]) is not int]
    if wrong:
        raise ValueError(f"{wrong[0]} = {str(row[wrong[0]])[:40]!r} is no number")


STATES = ("finished", "diverged")
"""States of a run that has ended."""

WHOLE = ("seed", "steps")
"""Whichever of these a row has are whole numbers."""


def whole_row(spec: AnySpec, run_dir: Path) -> dict[str, Any] | None:
    """The row of a finished run whose curve is whole as well, or None."""
    row = read_row(run_dir)
    return None if row is None or curve_damage(spec, row, run_dir) else row


def mend_spec(spec: AnySpec, run_dir: Path) -> None:
    """Write the spec.json of a finished run again if it cannot be read or is another run's; says so in one line."""
    path = run_dir / "spec.json"
    if _is_of(spec, path):
        return
    if path.is_dir():
        set_aside(path, "not a file", "the spec is rewritten")
    write_whole(path, spec.model_dump_json(indent=2))
    print(f"warning: {path} could not be read or belonged to another run; rewritten", file=sys.stderr)


def clear_damage(spec: AnySpec, run_dir: Path) -> None:
    """Set aside a row that cannot be read, or whose curve is not whole; call it while the run is claimed."""
    path, row = run_dir / "row.json", read_row(run_dir)
    if path.exists() and row is None:
        set_aside(path, "it cannot be read", "the run is repeated")
    elif row is not None and (damage := curve_damage(spec, row, run_dir)):
        set_aside(path, f"metrics.jsonl {damage}", "the run is repeated")


def curve_damage(spec: AnySpec, row: dict[str, Any], run_dir: Path) -> str:
    """What is wrong with the curve of a run that has a row; "" if nothing is."""
    if row["state"] != "finished":
        return "" if (run_dir / "metrics.jsonl").exists() else "is missing"
    arrays = run_dir / "probes.jsonl"
    if isinstance(spec, ExactSpec) and not (arrays.is_file() and arrays.stat().st_size):
        return "lacks its arrays"
    return points_damage(spec, read_points(run_dir / "metrics.jsonl"), spec.steps)


def points_damage(spec: AnySpec, points: Points, through: int) -> str:
    """What is missing of a run's points from step 0 through a step; "" if nothing is."""
    steps = [step for step, _ in points]
    if not steps or steps[0] != 0:
        return "lacks its beginning"
    if steps != sorted(set(steps)):
        return "has steps out of order"
    last = max(step for step in range(through + 1) if _is_logged(spec, step))
    return "" if steps[-1] >= last else f"can be read up to step {steps[-1]} of {last} only"


def _is_logged(spec: AnySpec, step: int) -> bool:
    """Whether a run writes a point after this many RL steps."""
    if isinstance(spec, ExactSpec) or step in (0, 1, spec.steps):
        return True
    return step % spec.log_every == 0 or step % spec.evaluation.every == 0


def _is_of(spec: AnySpec, path: Path) -> bool:
    """Whether a file holds this spec."""
    try:
        return read_spec(path.read_text(encoding="utf-8")).hash == spec.hash
    except (FileNotFoundError, IsADirectoryError, ValueError, RecursionError):
        return False
