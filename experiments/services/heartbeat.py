"""Liveness of workers on one machine: each holds a file lock, which the operating system releases when it ends."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alive(folder: Path) -> Iterator[str]:
    """Hold a lock file in the folder while the block runs; yields its name."""
    folder.mkdir(parents=True, exist_ok=True)
    me = uuid.uuid4().hex
    try:
        with FileLock(folder / f"{me}.lock"):
            yield me
    finally:
        (folder / f"{me}.lock").unlink(missing_ok=True)


def is_alive(folder: Path, worker: str) -> bool:
    """Whether a process on this machine (this one included) holds the lock of that name."""
    path = folder / f"{worker}.lock"
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
