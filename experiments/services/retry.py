"""Retry with backoff while a database is unavailable, so that a server restart costs only time and one printed line."""

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

for name in ("psycopg", "sqlalchemy.pool"):  # they report lost connections, too; one line is enough
    logging.getLogger(name).setLevel(logging.CRITICAL)

SAID_S = 120.0
"""Seconds during which an error that many processes share is printed only once."""

LOST = ("OperationalError", "InterfaceError", "AdminShutdown", "DisconnectionError")
"""Names of the SQLAlchemy and psycopg exceptions that a lost connection raises."""

FINAL = ("authentication failed", "does not exist", "no password supplied", "permission denied", "no pg_hba.conf entry")
"""Messages of the same exceptions for errors that waiting cannot fix."""


def retry_with_backoff(action: Callable[[], Result], patience_s: float, marker: Path, what: str) -> Result:
    """Call `action`, retrying with exponential backoff while the connection to a PostgreSQL database is lost.

    Args:
        action: repeated from its beginning, so its writes must be idempotent.
        patience_s: seconds of retrying after which the error is raised.
        marker: file shared by the processes among which the outage is reported once.
        what: beginning of the printed line, such as `the sweep's database`.
    """
    pause, end = 0.25, time.monotonic() + patience_s
    while True:
        try:
            return action()
        except Exception as error:
            if not is_lost(error) or time.monotonic() > end:
                raise
            say_once(f"{what} is unavailable ({reason_of(error)}); retrying for up to {patience_s:.0f} s", marker)
            time.sleep(pause * random.uniform(0.5, 1.5))  # jitter: processes do not all reconnect at once
            pause = min(2 * pause, 8.0)


def is_lost(error: BaseException) -> bool:
    """Whether an error, or any of its causes, is a lost connection to PostgreSQL."""
    chain = list(causes(error))
    if not any(type(cause).__module__.startswith("psycopg") for cause in chain):
        return False
    text = " ".join(str(cause) for cause in chain)
    return any(type(cause).__name__ in LOST for cause in chain) and not any(word in text for word in FINAL)


def reason_of(error: BaseException) -> str:
    """The innermost error message that is not empty, as one redacted line of at most 160 characters."""
    for cause in reversed(list(causes(error))):
        lines = redacted(str(cause)).strip().splitlines()
        if lines and lines[0].strip("() "):
            return lines[0][:160]
    return type(error).__name__


def say_once(line: str, marker: Path) -> None:
    """Print a line on stderr, unless a process with the same marker did so within `SAID_S` seconds."""
    marker.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{marker}.lock"):
        try:
            recent = time.time() - marker.stat().st_mtime < SAID_S
        except FileNotFoundError:
            recent = False
        if not recent:
            marker.touch()
            print(line, file=sys.stderr, flush=True)
