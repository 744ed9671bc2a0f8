"""Errors that end a command: one line on stderr and an exit code, 2 for invalid input, 1 for an internal error."""

import os
import re
import select
import sys
import traceback
from pathlib import Path

from experiments.services.addresses import redacted

LONGEST = 2000
"""Characters of a message."""


def ended(error: Exception) -> int:
    """Print what ended the command, with VAPO_TRACEBACK=1 where it came from, too; returns the exit code."""
    if reader_is_gone():
        return unheard()
    if os.environ.get("VAPO_TRACEBACK", "") not in ("", "0"):
        print(redacted("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    if isinstance(error, (ValueError, OSError)):
        return refuse(plain(error))
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"({Path(place.filename).name}:{place.lineno})"
    if isinstance(error, MemoryError):
        refuse(f"out of memory: {error or 'the request exceeded what is available'} {where}")
    else:
        what = f"{type(error).__name__}: {error} {where}"
        refuse(f"internal error: {what}; set VAPO_TRACEBACK=1 to see the traceback")
    return 1


def left(stop: SystemExit) -> int:
    """The exit code of a command that left by itself: after --help, or since nobody reads its output, as rich says it.

    Raises:
        SystemExit: in the first case.
    """
    if not isinstance(stop.__context__, BrokenPipeError):
        raise stop
    return unheard()


def reader_is_gone() -> bool:
    """Whether stdout is a pipe whose reader has closed it."""
    try:
        output = select.poll()
        output.register(sys.stdout.fileno(), 0)  # errors are reported without being asked for
        return any(event & select.POLLERR for _, event in output.poll(0))
    except (OSError, ValueError, AttributeError):  # no file, a closed one, or none at all
        return False


def unheard() -> int:
    """What reads our output has seen enough, as in `vapo show RUN | head`: nothing is wrong, and nothing more is written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def plain(error: Exception) -> str:
    """An error in its own words: field, value, what is allowed."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        from experiments.specs.options import validation_line

        return validation_line(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def refuse(message: str) -> int:
    """Print what is wrong with the input, on one line."""
    print(f"vapo: {one_line(redacted(message))}", file=sys.stderr)
    return 2


def one_line(text: str) -> str:
    """The text without line breaks and control characters; long words and long texts are cut in the middle."""
    seen = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in " ".join(text.split()))
    words = re.sub(r"\S{300,}", lambda word: f"{word[0][:120]}…{word[0][-60:]}", seen)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 300]} … {words[-300:]}"
