"""Errors raised while reading foreign files become one line that names the field or the file."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

OURS = (MemoryError, FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Errors that say enough by themselves, or that no reader can be blamed for."""


class Unreadable(ValueError):
    """Something from outside that cannot be read; its text names what, and why."""


@contextmanager
def reading(what: str | Path, problem: str = "cannot be read") -> Iterator[None]:
    """Any error in the block is reported as `what: problem (reason)`.

    Readers of JSON, YAML, pickles, weights, templates and tables raise errors of many types, from RecursionError to
    AttributeError, most of which name no file.

    Args:
        what: the field or file that is read, such as `base.model = 'x'` or a path.
        problem: what is the matter with it.

    Raises:
        Unreadable: for any error but those of a missing file, of rights, and of memory.
    """
    try:
        yield
    except (Unreadable, *OURS):
        raise
    except Exception as error:
        raise Unreadable(f"{what}: {problem} ({reason_of(error)})") from error


def whole_number(name: str, otherwise: int, least: int, environment: Mapping[str, str] = os.environ) -> int:
    """An environment variable that is a whole number; `otherwise` where it is not set.

    Raises:
        ValueError: naming the variable, if it is none or is below `least`.
    """
    given = environment.get(name)
    if given is None:
        return otherwise
    if not given.strip().isdecimal() or not given.isascii() or len(given) > 18 or int(given) < least:
        raise ValueError(f"{name} = {given!r} in the environment: allowed is a whole number from {least}")
    return int(given)


def reason_of(error: BaseException) -> str:
    """An error in a few words: its own, cut short; its type where it has none or they are only a number or a key."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = " ".join(str(error).split())
    if not text or isinstance(error, KeyError):
        return " ".join([type(error).__name__, text]).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


LONGEST = 200
"""Characters of a library's message that are repeated."""
