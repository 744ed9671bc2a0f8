"""Errors in files that others wrote: whatever a reader raises becomes one line that names the file or folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 200
"""Characters of a library's message that are repeated."""


class Damaged(ValueError):
    """A file or a folder of tables that cannot be read; its text names it and says why."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Any error in the block is reported with the file's name.

    Raises:
        Damaged: for any error but those of a missing file, of rights, and of memory.
    """
    try:
        yield
    except (Damaged, FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:
        raise Damaged(f"{path}: cannot be read ({_reason(error)})") from error


@contextmanager
def left_out(path: Path, objections: list[str] | None) -> Iterator[None]:
    """Add what cannot be read to the objections and go on; without such a list errors stay what they are."""
    if objections is None:
        yield
        return
    try:
        with naming(path):
            yield
    except Damaged as error:
        objections.append(str(error))
    except OSError as error:
        objections.append(f"{error.filename}: {error.strerror}" if error.strerror else str(error))


def _reason(error: Exception) -> str:
    """An error in a few words; its type where it has none, or only a key."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = " ".join(str(error).split())
    if not text or isinstance(error, KeyError):
        text = " ".join([type(error).__name__, text]).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
