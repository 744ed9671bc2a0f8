"""Wait for an unavailable database: a server restart costs time and one printed line, nothing else."""

import logging
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from experiments.services.addresses import redacted
from vapo_core.full_disk import causes

Result = TypeVar("Result")

for name in ("psycopg", "sqlalchemy.pool"):  # they too tell of a connection that is lost; one line is enough
    logging.getLogger(name).setLevel(logging.CRITICAL)

SAID_S = 120.0
"""Seconds in which a trouble that many processes share is reported once."""

LOST = ("OperationalError", "InterfaceError", "AdminShutdown", "DisconnectionError")
"""Classes of SQLAlchemy and psycopg that a lost connection raises."""

FINAL = ("authentication failed", "does not exist", "no password supplied", "permission denied", "no pg_hba.conf entry")
"""What the same classes say of a trouble that waiting does not mend."""


def retry_with_backoff(action: Callable[[], Result], patience_s: float, marker: Path, what: str) -> Result:
    """Do it, again and again with growing pauses while the connection to a PostgreSQL database is lost.

    Args:
        action: done anew as a whole, so what it writes must stand being written twice.
        patience_s: seconds after which the error is raised.
        marker: file shared by the processes among which the trouble is reported once.
        what: the line's beginning, such as `the sweep's database`.
    """
    pause, end = 0.25, time.monotonic() + patience_s
    while True:
        try:
            return action()
        except Exception as error:
            if not is_lost(error) or time.monotonic() > end:
                raise
            say_once(f"{what} is unavailable ({reason_of(error)}); retrying for up to {patience_s:.0f} s", marker)
            time.sleep(pause * random.uniform(0.5, 1.5))  # so that many do not come back at once
            pause = min(2 * pause, 8.0)


def is_lost(error: BaseException) -> bool:
    """Whether an error comes of a lost connection to PostgreSQL, however it was wrapped."""
    chain = list(causes(error))
    if not any(type(cause).__module__.startswith("psycopg") for cause in chain):
        return False
    text = " ".join(str(cause) for cause in chain)
    return any(type(cause).__name__ in LOST for cause in chain) and not any(word in text for word in FINAL)


def reason_of(error: BaseException) -> str:
    """The innermost error that says something, as part of a line, without a password."""
    for cause in reversed(list(causes(error))):
        lines = redacted(str(cause)).strip().splitlines()
        if lines and lines[0].strip("() "):
            return lines[0][:160]
    return type(error).__name__


def say_once(line: str, marker: Path) -> None:
    """Print a line, unless one of the processes that share the marker did so a short while ago."""
    marker.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{marker}.lock"):
        try:
            recent = time.time() - marker.stat().st_mtime < SAID_S
        except FileNotFoundError:
            recent = False
        if not recent:
            marker.touch()
            print(line, file=sys.stderr, flush=True)
