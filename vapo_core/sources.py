"""Which source computed a number: rows and caches record it, so that edited code never returns old results.

A record holds one hash, of file contents. What each hash stands for is kept beside the records, in `sources/<hash>.json`: path ->
hash of the file's code. So files that differ can be named, and an edited comment or docstring costs nothing.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from vapo_core.files import write_whole

ROOT = Path(__file__).parents[1]

NAME = "source.txt"
"""File of a record's folder that holds the hash. Not JSON: the JSON files of a base model are part of what it is known by."""

MOST_NAMED = 4
"""Most files that a line names."""


class Source(NamedTuple):
    """Files that numbers come from."""

    places: tuple[str, ...]
    """Files, and folders of Python files, relative to the checkout."""

    @property
    def hash(self) -> str:
        """16 hex digits of the files' paths and contents, as they are when this process first asks."""
        return _hash(self.places)

    @property
    def code(self) -> str:
        """16 hex digits of what the files do: comments, docstrings and layout aside."""
        return hashlib.sha256(repr(sorted(_code(self.places).items())).encode()).hexdigest()[:16]

    def record(self, folder: Path, cache: Path) -> None:
        """Write down that what is in a folder comes from this source.

        Args: cache, the folder of records in which `sources/` is kept.
        """
        self.keep(cache)
        write_whole(folder / NAME, self.hash)

    def keep(self, cache: Path) -> None:
        """Write down what this source's hash stands for, once per folder of records."""
        path = cache / "sources" / f"{self.hash}.json"
        if not path.exists():
            write_whole(path, json.dumps(_code(self.places), indent=0))

    def difference(self, folder: Path, cache: Path) -> str:
        """What differs between this source and that of a folder's content; "" if nothing does, or none is recorded."""
        there = recorded(folder)
        return "" if there in ("", self.hash) else self._difference(there, cache)

    def _difference(self, there: str, cache: Path) -> str:
        before, now = _listed(cache / "sources" / f"{there}.json"), _code(self.places)
        if not before:
            return f"source {there}, whose files are not known here"
        return named(sorted(path for path in {*before, *now} if before.get(path) != now.get(path)))


CRITICS = Source(("vapo_core",))
"""What a warm critic comes from: it samples, grades and fits as training does."""

BASES = Source((
    "vapo_core/tasks", "vapo_core/models", "vapo_core/bounds.py", "vapo_core/contents.py", "vapo_core/files.py",
    "vapo_core/frozen.py", "vapo_core/full_disk.py", "vapo_core/grading", "vapo_core/reading.py", "vapo_core/seeds.py",
    "vapo_core/settings.py", "vapo_core/suggest.py", "vapo_core/time_limit.py", "vapo_core/types.py",
))  # fmt: skip
"""What a base model comes from."""


def recorded(folder: Path) -> str:
    """The hash that a folder records; "" if none, as in records older than this."""
    try:
        return (folder / NAME).read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def named(files: list[str]) -> str:
    """Files in a few words; "" for none."""
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"{', '.join(files[:MOST_NAMED])}{more}"


@cache
def say_replaced(what: str, difference: str) -> None:
    """One line per process: caches of other source are made again."""
    print(f"warning: {what} made by other source ({difference}) are made again", file=sys.stderr)


@cache
def say_unrecorded(what: str) -> None:
    """One line per process: caches that do not say their source are used, as they always were."""
    print(f"warning: {what} that do not record their source (made by an earlier version) are used as they are",
          file=sys.stderr)  # fmt: skip


def _files(places: tuple[str, ...]) -> list[Path]:
    found = [
        path
        for place in places
        for path in ((ROOT / place).rglob("*.py") if (ROOT / place).is_dir() else [ROOT / place])
    ]
    return sorted(path for path in found if path.is_file())


@cache
def _hash(places: tuple[str, ...]) -> str:
    whole = hashlib.sha256()
    for path in _files(places):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:16]


@cache
def _code(places: tuple[str, ...]) -> Mapping[str, str]:
    """Path -> hash of the file's code, without comments, docstrings and layout."""
    return {path.relative_to(ROOT).as_posix(): _compiled(path) for path in _files(places)}


@cache
def _compiled(path: Path) -> str:
    """12 hex digits of what a file compiles to; of its content where it does not compile."""
    content = path.read_bytes()
    try:
        parts = repr(_parts(compile(content, "", "exec", optimize=2, dont_inherit=True))).encode()
    except (SyntaxError, ValueError):
        parts = content
    return hashlib.sha256(parts).hexdigest()[:12]


def _parts(code: CodeType) -> list[Any]:
    """What a code object does, without the lines it stands in."""
    values = [_parts(x) if isinstance(x, CodeType) else _stable(x) for x in code.co_consts]
    return [code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_exceptiontable, values]


def _stable(value: Any) -> str:
    """A constant as text that is the same in every process."""
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _listed(path: Path) -> Mapping[str, str]:
    """What a hash stood for; nothing if that cannot be read."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
