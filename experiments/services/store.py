"""Where a sweep's trials are kept: a journal beside its outcome, or a PostgreSQL database that several machines share."""

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

PATIENCE_S = 600.0
"""Seconds that a sweep waits for an unavailable database: nothing can continue without it."""

Result = TypeVar("Result")


class Store(Protocol):
    """A place for trials."""

    def name(self) -> str:
        """For a person."""
        ...

    def opening(self) -> AbstractContextManager[Any]:
        """Only one process makes a study at a time."""
        ...

    def claiming(self) -> AbstractContextManager[Any]:
        """Only one process hands out trials at a time."""
        ...

    def working(self) -> AbstractContextManager[str]:
        """Be seen at work while the block runs; yields the worker's name."""
        ...

    def is_alive(self, worker: str) -> bool:
        """Whether that worker is still at work."""
        ...

    def retry_with_backoff(self, action: Callable[[], Result]) -> Result:
        """Do it, waiting for an unavailable store."""
        ...

    def rows(self) -> Database | None:
        """Where rows of finished runs are shared, if they are."""
        ...


class Journal(NamedTuple):
    """A file, shared by processes of one machine."""

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
        """A file lock that falls with its process."""
        return alive(self.path.parent / "workers")

    def is_alive(self, worker: str) -> bool:
        """Whether its lock is held."""
        return is_alive(self.path.parent / "workers", worker)

    def retry_with_backoff(self, action: Callable[[], Result]) -> Result:
        """At once: a file does not go away."""
        return action()

    def rows(self) -> Database | None:
        """Records are where the runs are."""
        return None


class Shared(NamedTuple):
    """A PostgreSQL database."""

    database: Database
    marker: Path
    """Beside this machine's outcome: among processes here an outage is reported once."""

    def name(self) -> str:
        """Without user and password."""
        return self.database.address.rpartition("@")[2].partition("?")[0]

    def opening(self) -> AbstractContextManager[Any]:
        """A lock of the database."""
        return self.database.alone("studies")

    def claiming(self) -> AbstractContextManager[Any]:
        """A lock of the database."""
        return self.database.alone("trials")

    def working(self) -> AbstractContextManager[str]:
        """Signs of life in the database."""
        return self.database.working()

    def is_alive(self, worker: str) -> bool:
        """Whether it showed one lately."""
        return self.database.is_alive(worker)

    def retry_with_backoff(self, action: Callable[[], Result]) -> Result:
        """Again and again while the connection is lost."""
        return retry_with_backoff(action, PATIENCE_S, self.marker, f"the database of the sweep ({self.name()})")

    def rows(self) -> Database | None:
        """In the database itself."""
        return self.database

    def row(self, spec: str) -> dict[str, Any] | None:
        """The row of a run that was finished on any machine."""
        return self.retry_with_backoff(lambda: self.database.rows([spec])).get(spec)

    def put(self, spec: str, row: dict[str, Any], worker: str = "") -> None:
        """Let the other machines know of a finished run."""
        self.retry_with_backoff(lambda: self.database.put(spec, row, worker))

    def in_turn(self, spec: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of a run, computed here unless it is finished.

        Raises:
            Elsewhere: while another machine is at work on it.
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
"""A journal goes by its path."""


def store_of(place: Place) -> Store:
    """The store at a place."""
    return Journal(place) if isinstance(place, Path) else place


def drop_cut_line(journal: Path) -> None:
    """Remove a last line cut short by a crash, or every later one would be unreadable; hold the journal's lock."""
    size = journal.stat().st_size
    if not size:
        return
    with journal.open("rb") as handle:
        handle.seek(size - 1)
        whole = handle.read(1) == b"\n"
    if not whole:
        os.truncate(journal, journal.read_bytes().rfind(b"\n") + 1)  # on a full disk, too
