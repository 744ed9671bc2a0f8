"""A run belongs to one process at a time: a lock of the operating system, which falls with its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LONGEST_WAIT_S = 3600.0
"""Seconds after which a process that holds a run and shows no progress is waited for no longer."""


class Busy(OSError):
    """Another process is at work on a run."""


class Elsewhere(Busy):
    """A process on another machine is, and shows signs of life."""


@contextmanager
def claimed(run_dir: Path, wait_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Hold a run's folder, made if need be, while the block runs.

    Args:
        run_dir: the run's folder.
        wait_s: seconds to wait for another process that holds it.

    Raises:
        Busy: if it is still held then.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / "lock")
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise Busy(f"run {run_dir.name} is being run by another process") from None
    try:
        yield
    finally:
        lock.release()


def last_sign_of_life(run_dir: Path) -> float:
    """When anything in a run's folder last changed, in seconds since the epoch; 0 if there is no such folder."""
    try:
        return max((path.stat().st_mtime for path in run_dir.iterdir()), default=run_dir.stat().st_mtime)
    except OSError:
        return 0.0
