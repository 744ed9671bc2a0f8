"""Who is still at work: a worker holds a file lock of the operating system, which falls with its process."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alive(folder: Path) -> Iterator[str]:
    """Hold a lock in the folder while the block runs; yields its name."""
    folder.mkdir(parents=True, exist_ok=True)
    me = uuid.uuid4().hex
    try:
        with FileLock(folder / f"{me}.lock"):
            yield me
    finally:
        (folder / f"{me}.lock").unlink(missing_ok=True)


def is_alive(folder: Path, worker: str) -> bool:
    """Whether the lock of that name is held by a process on this machine, this one included."""
    path = folder / f"{worker}.lock"
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
