"""Verdicts as JSON: what a results folder keeps and others read."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.decisions import Verdict


def as_json(verdicts: Iterable[Verdict]) -> str:
    """A list of objects with the fields of `Verdict`; null where a number is none or not finite."""
    return json.dumps([{name: _plain(x) for name, x in row._asdict().items()} for row in verdicts], indent=1)


def read(path: Path) -> list[Verdict]:
    """What `as_json` gave; nan where a number was null.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        return [Verdict(**{name: _number(name, x) for name, x in row.items()}) for row in content]
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a list of verdicts ({error})") from None


NUMBERS = ("effect", "low", "high", "threshold", "smallest_detectable")


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
