"""How large content read from a file is once every alias in it is written out: a few lines of YAML can stand for billions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_BYTES = 1_000_000
"""Of a file of options, which is read in seconds."""

MOST_VALUES = 200_000
"""Values in it."""


def read_bounded(path: Path) -> str:
    """A text file.

    Raises:
        ValueError: if it is too long to be one of options.
    """
    with path.open("rb") as handle:
        content = handle.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path}: more than {MOST_BYTES} bytes, which is no file of options")
    return content.decode("utf-8")


def check_expansion(path: Path, content: Any) -> None:
    """Refuse what has too many values once aliases are written out, or holds itself.

    Raises:
        ValueError: naming the file.
    """
    size = _size(content, {})
    if size > MOST_VALUES:
        raise ValueError(f"{path}: its aliases stand for more than {MOST_VALUES} values, allowed are no more than that")


def _size(content: Any, known: dict[int, float]) -> float:
    """Values in nested lists and mappings, each counted wherever it stands; infinite for what holds itself."""
    if not isinstance(content, (list, Mapping)):
        return 1 + len(content) / 100 if isinstance(content, str) else 1
    if id(content) not in known:
        known[id(content)] = float("inf")  # until it is known: met again within itself
        inner = content if isinstance(content, list) else [*content.keys(), *content.values()]
        known[id(content)] = 1 + sum(_size(value, known) for value in inner)
    return known[id(content)]
