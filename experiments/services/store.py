"""Storage of a sweep's trials: a journal file beside its results, or a PostgreSQL database shared by several machines."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from filelock import FileLock

from experiments.services.claims import Elsewhere
from experiments.services.database import Database
from experiments.services.heartbeat import alive, is_alive
from experiments.services.retry import retry_with_backoff
from vapo_core.reading import Unreadable

PATIENCE_S = 600.0
"""Seconds that a sweep waits for an unavailable database, without which it cannot continue."""

ENTRY = b'{"op_code":'
"""How Optuna begins every line of a journal, which is ASCII."""

Result = TypeVar("Result")


class Store(Protocol):
    """Storage for trials."""

    def name(self) -> str:
        """Name for messages."""
        ...

    def opening(self) -> AbstractContextManager[Any]:
        """Lock: one process at a time creates a study."""
        ...

    def claiming(self) -> AbstractContextManager[Any]:
        """Lock: one process at a time assigns trials."""
        ...

    def working(self) -> AbstractContextManager[str]:
        """Register as a live worker while the block runs; yields the worker's name."""
        ...

    def is_alive(self, worker: str) -> bool:
        """Whether that worker is still running."""
        ...

    def retry_with_backoff(self, action: Callable[[], Result]) -> Result:
        """Call `action`, retrying while the store is unavailable."""
        ...

    def rows(self) -> Database | None:
        """The database that shares rows of finished runs, if there is one."""
        ...


class Journal(NamedTuple):
    """A journal file, shared by processes on one machine."""

    path: Path

    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def opening(self) -> AbstractContextManager[Any]:
        """A file lock."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.study.lock")

    def claiming(self) -> AbstractContextManager[Any]:
        """A file lock."""
        return FileLock(f"{self.path}.claim.lock")

    def working(self) -> AbstractContextManager[str]:
        """A file lock, released when its process ends."""
        return alive(self.path.parent / "workers")

    def is_alive(self, worker: str) -> bool:
        """Whether its lock is held."""
        return is_alive(self.path.parent / "workers", worker)

    def retry_with_backoff(self, action: Callable[[], Result]) -> Result:
        """Without retrying: a local file is always available."""
        return action()

    def rows(self) -> Database | None:
        """None: records are in the runs folder."""
        return None


class Shared(NamedTuple):
    """A PostgreSQL database."""

    database: Database
    marker: Path
    """Local file by which the processes on this machine report an outage once."""

    def name(self) -> str:
        """Host and database, without user and password."""
        return self.database.address.rpartition("@")[2].partition("?")[0]

    def opening(self) -> AbstractContextManager[Any]:
        """A lock of the database."""
        return self.database.alone("studies")

    def claiming(self) -> AbstractContextManager[Any]:
        """A lock of the database."""
        return self.database.alone("trials")

    def working(self) -> AbstractContextManager[str]:
        """Heartbeats in the database."""
        return self.database.working()

    def is_alive(self, worker: str) -> bool:
        """Whether it has sent one recently."""
        return self.database.is_alive(worker)

    def retry_with_backoff(self, action: Callable[[], Result]) -> Result:
        """Retry while the connection is lost, for up to `PATIENCE_S` seconds."""
        return retry_with_backoff(action, PATIENCE_S, self.marker, f"the database of the sweep ({self.name()})")

    def rows(self) -> Database | None:
        """The same database."""
        return self.database

    def row(self, spec: str) -> dict[str, Any] | None:
        """The row of a run, if any machine has finished it."""
        return self.retry_with_backoff(lambda: self.database.rows([spec])).get(spec)

    def put(self, spec: str, row: dict[str, Any], worker: str = "") -> None:
        """Publish the row of a finished run to the other machines."""
        self.retry_with_backoff(lambda: self.database.put(spec, row, worker))

    def in_turn(self, spec: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of a run, computed here unless some machine has finished it.

        Raises:
            Elsewhere: while another machine is working on it.
        """
        found = self.row(spec)
        if found is not None:
            return found
        with self.database.working() as me:
            if not self.retry_with_backoff(lambda: self.database.take(spec, me)):
                raise Elsewhere(f"run {spec} is being run by another machine")
            try:
                row = compute()
            except BaseException:
                self.retry_with_backoff(lambda: self.database.leave(spec, me))
                raise
            self.put(spec, row, me)
        return row


Place = Path | Shared
"""A journal is given by its path."""


def store_of(place: Place) -> Store:
    """The store at a place."""
    return Journal(place) if isinstance(place, Path) else place


def drop_cut_line(journal: Path) -> None:
    """Remove a last line of Optuna's that a crash cut short, or every later one would be unreadable; hold the journal's lock.

    Raises:
        Unreadable: if the file ends in anything else without a line end; then nothing is removed.
    """
    size = journal.stat().st_size
    if not size:
        return
    with journal.open("rb") as handle:
        handle.seek(size - 1)
        if handle.read(1) == b"\n":
            return
    content = journal.read_bytes()
    start = content.rfind(b"\n") + 1
    line = content[start:]
    if not (line.isascii() and line.startswith(ENTRY[: len(line)])):
        number = content.count(b"\n") + 1
        raise Unreadable(f"{journal}: line {number} is neither a journal entry nor the beginning of one")
    os.truncate(journal, start)  # on a full disk, too
