"""Rows of JSON files: one object a line, or one file that is an array of objects (or a single object).

Numbers stay the text that stands in the file, so that 12345678901234567 and 1.10 are read as they are, and a date is text. A
byte order mark, Windows line ends and blank lines are no matter.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from vapo_core.reading import Unreadable, reading
from vapo_core.tasks.rows import Row, described

LONGEST_LINE = 16 << 20
"""Bytes of a line, beyond which a file is no JSON lines."""

LARGEST_ARRAY = 1 << 30
"""Bytes of a file that is one array."""

DEEPEST = 64
"""Lists and objects within one another."""

_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A text, of which no more is looked at, or a bracket outside one."""


def json_rows(path: Path) -> Iterator[Row]:
    """Every row of a file; `.json` may hold one array of objects, or one object over several lines.

    Raises:
        ValueError: naming file and line, for the first that is not an object in JSON.
    """
    whole = _whole(path) if path.suffix == ".json" else None
    if whole is None:
        yield from _lines(path)
        return
    for number, values in enumerate(whole, 1):
        yield _row(f"path: {path}, row {number}", values)


def _lines(path: Path) -> Iterator[Row]:
    """A row per line that is not blank."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            place = f"path: {path}, line {number}"
            if len(line) > LONGEST_LINE:
                raise Unreadable(f"{place}: longer than {LONGEST_LINE >> 20} MiB, allowed: one JSON object a line")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield _row(place, _parsed(place, line.rstrip()))


def _whole(path: Path) -> list[Any] | None:
    """The items of a file that is one array, or the only object of one over several lines; None for lines."""
    with path.open("rb") as file:
        start = file.read(LONGEST_LINE).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith(b"[") and start.partition(b"\n")[0].strip() != b"{":
        return None
    place = f"path: {path}"
    if path.stat().st_size > LARGEST_ARRAY:
        raise Unreadable(
            f"{place}: one array of more than {LARGEST_ARRAY >> 30} GiB, allowed: a larger file as JSON lines"
        )
    found = _parsed(place, path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    return found if isinstance(found, list) else [found]


def _row(place: str, values: Any) -> Row:
    if not isinstance(values, Mapping):
        raise Unreadable(
            f'{place}: is {described(values)}, allowed: an object such as {{"problem": ..., "answer": ...}}'
        )
    return Row(place, values)


def _parsed(place: str, data: bytes) -> Any:
    """A JSON value, its numbers as text.

    Raises:
        ValueError: naming the place, if it is none, is nested too deeply, or names a field twice.
    """
    with reading(place, "is not JSON"):
        text = _decoded(place, data)
        if too_deep(text):
            raise Unreadable(f"{place}: nested more than {DEEPEST} deep")
        try:
            found = json.loads(
                text, parse_int=str, parse_float=str, parse_constant=_no_number, object_pairs_hook=_object
            )
        except json.JSONDecodeError as error:
            raise Unreadable(
                f"{place}: is not JSON ({error.msg.removesuffix(' at')} at character {error.pos + 1})"
            ) from error
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half a character is none
        return found


def _decoded(place: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{place}: is not UTF-8 (byte {data[error.start]:#04x} at {error.start + 1})") from error


def too_deep(text: str) -> bool:
    """Whether lists and objects lie more than `DEEPEST` deep, in time that grows with the length alone."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > DEEPEST:
            return True
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"field {twice!r} is given twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
