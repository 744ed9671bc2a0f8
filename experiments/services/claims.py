"""One process per run: an operating-system lock, released when its process ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LONGEST_WAIT_S = 3600.0
"""Seconds to wait for another process that holds a run."""


class Busy(OSError):
    """Another process is working on the run."""


class Elsewhere(Busy):
    """A live process on another machine is working on the run."""


@contextmanager
def claimed(run_dir: Path, wait_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Hold the lock of a run's folder, created if missing, while the block runs.

    Args:
        run_dir: the run's folder.
        wait_s: seconds to wait for another process to release it.

    Raises:
        Busy: if it is still held after that.
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
    """Time of the last change in a run's folder, in seconds since the epoch; 0 if the folder does not exist."""
    try:
        return max((path.stat().st_mtime for path in run_dir.iterdir()), default=run_dir.stat().st_mtime)
    except OSError:
        return 0.0
