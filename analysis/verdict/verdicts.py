"""Verdicts as JSON, as results folders keep them."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np

from analysis.tables.boundary import naming
from analysis.verdict.decisions import Decision, Verdict
from analysis.verdict.questions import Level


def as_json(verdicts: Iterable[Verdict]) -> str:
    """A list of objects with the fields of `Verdict`; null where a number is none or not finite."""
    return json.dumps([{name: _plain(x) for name, x in row._asdict().items()} for row in verdicts], indent=1)


def read(path: Path) -> list[Verdict]:
    """What `as_json` gave; nan where a number was null.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else.
    """
    with naming(Path(path)):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, list):
            raise ValueError("not a list of verdicts")
        return [_checked(Verdict(**{name: _number(name, x) for name, x in row.items()})) for row in content]


def _checked(row: Verdict) -> Verdict:
    """The row, if every field is of its kind.

    Raises:
        ValueError: naming the field that is not.
    """
    kinds: dict[str, Any] = dict.fromkeys(NUMBERS, (int, float))
    kinds |= dict.fromkeys(("question", "unit", "preset", "estimand"), str) | {
        "seeds": int,
        "primary": bool,
        "strata": dict,
    }
    for name, kind in kinds.items():
        if not isinstance(getattr(row, name), kind):
            raise ValueError(f"{name} = {str(getattr(row, name))[:40]!r} is of another kind")
    for name, allowed in (("level", get_args(Level)), ("decision", (None, *get_args(Decision)))):
        if getattr(row, name) not in allowed:
            raise ValueError(f"{name} = {str(getattr(row, name))[:40]!r}, allowed: {', '.join(map(str, allowed))}")
    return row


NUMBERS = ("effect", "low", "high", "threshold", "smallest_detectable", "mean_length", "mean_decisions", "activity")


def _plain(x: Any) -> Any:
    """What JSON can say, numbers to nine significant digits."""
    if isinstance(x, dict):
        return {name: _plain(inner) for name, inner in x.items()}
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, (float, np.floating)):
        return float(f"{x:.9g}") if math.isfinite(x) else None
    return int(x) if isinstance(x, np.integer) else x


def _number(name: str, x: Any) -> Any:
    return math.nan if x is None and name in NUMBERS else x
