"""Rows of data files, each with the place it came from, so that what is wrong with one can be found."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

LONGEST_SHOWN = 60
"""Characters of a value that a message repeats."""


class Row(NamedTuple):
    """A row of a data file."""

    place: str
    """Such as `path: mine.jsonl, line 3`."""
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A value as the text that is in the file, spaces around it aside.

        Raises:
            ValueError: naming place and field, if it is missing, null, blank, or neither text nor number.
        """
        text = text_of(self.value(column))
        if text is None or not text.strip():
            raise self.fault(column, f"is {described(self.value(column))}, allowed: a text or a number")
        return text.strip()

    def value(self, column: str) -> Any:
        """A value.

        Raises:
            ValueError: naming place and field, if it is missing.
        """
        if column not in self.values:
            raise ValueError(
                f"{self.place}: no column {column!r} (there are: {', '.join(map(str, self.values)) or 'none'})"
            )
        return self.values[column]

    def fault(self, column: str, what: str) -> ValueError:
        """The error to raise for a field."""
        return ValueError(f"{self.place}: field {column!r} {what}")


def text_of(value: Any) -> str | None:
    """A text, a number, a truth or a date as text; None for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if (
        value is None
        or isinstance(value, (Mapping, list, bytes))
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        return None
    return str(value)


def described(value: Any) -> str:
    """What kind of value it is, in a few words."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return "blank" if not value.strip() else f"{value[:LONGEST_SHOWN]!r}"
    kinds = {dict: "an object", list: "a list", bytes: "bytes", bool: str(value).lower()}
    return kinds.get(type(value), str(value))


def firsts(rows: Iterable[Row], text: Callable[[Row], str]) -> tuple[list[Row], int]:
    """Of the rows with one text the first, and how many rows there were."""
    found: dict[str, Row] = {}
    number = 0
    for row in rows:
        number += 1
        found.setdefault(text(row), row)
    return list(found.values()), number
