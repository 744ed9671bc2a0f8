"""What a crash, a full disk or a hand may leave of a run's records, and what is still good of it."""

import json
import sys
from pathlib import Path
from typing import Any

from experiments.exact import AnySpec, ExactSpec
from experiments.records import Points, read_points
from vapo_core.files import set_aside, write_whole

NEEDED = ("spec", "world", "state", "seed", "seconds")
"""Without these a row is none."""

SCORED = ("auc", "last")
"""A trained run's has these, too."""


def read_row(home: Path) -> dict[str, Any] | None:
    """The row in a run's folder, or None if there is none or it makes no sense.

    Raises:
        OSError: if the system refuses to read it, which says nothing about what it holds.
    """
    try:
        row = json.loads((home / "row.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not isinstance(row, dict) or any(name not in row for name in NEEDED):
        return None
    return row if row["world"] == "exact" or all(name in row for name in SCORED) else None


def whole_row(spec: AnySpec, home: Path) -> dict[str, Any] | None:
    """The row of a finished run whose curve is whole as well; a spec.json that cannot be read is written again."""
    row = read_row(home)
    if row is None or curve_damage(spec, row, home):
        return None
    if not _is_json(home / "spec.json"):
        write_whole(home / "spec.json", spec.model_dump_json(indent=2))
        print(f"warning: {home / 'spec.json'} could not be read; written again", file=sys.stderr)
    return row


def clear_damage(spec: AnySpec, home: Path) -> None:
    """Set aside a row that cannot be read, or whose curve is not whole; call it while the run is claimed."""
    path, row = home / "row.json", read_row(home)
    if path.exists() and row is None:
        set_aside(path, "it cannot be read", "the run is made again")
    elif row is not None and (damage := curve_damage(spec, row, home)):
        set_aside(path, f"metrics.jsonl {damage}", "the run is made again")


def curve_damage(spec: AnySpec, row: dict[str, Any], home: Path) -> str:
    """What is wrong with the curve of a run that has a row; "" if nothing is."""
    if row["state"] != "finished":
        return "" if (home / "metrics.jsonl").exists() else "is missing"
    arrays = home / "probes.jsonl"
    if isinstance(spec, ExactSpec) and not (arrays.is_file() and arrays.stat().st_size):
        return "has no arrays beside it"
    return points_damage(spec, read_points(home / "metrics.jsonl"), spec.steps)


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


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return True
