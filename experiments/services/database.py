"""State shared by several machines through PostgreSQL: locks, workers' heartbeats, and rows of finished runs.

A worker that was killed, or whose machine is lost, stops sending heartbeats; the runs it had started are then free again.
"""

import hashlib
import json
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from experiments.services.addresses import redacted, remember

BEAT_S = 5.0
"""Seconds between a worker's heartbeats."""

SILENCE_S = 60.0
"""Seconds without a heartbeat after which a worker counts as dead. After a server restart every worker has that long to
report again, so an outage makes no worker count as dead."""

TABLES = (
    "create table if not exists vapo_workers (name text primary key, seen timestamptz not null default now())",
    "create table if not exists vapo_runs (spec text primary key, worker text not null, content text)",
)
"""`content` is the run's row as JSON, null while the run is in progress."""

POOL: Mapping[str, Any] = {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True, "pool_recycle": 600}
"""Connection pool of each process, also for Optuna: two connections are kept open, at most two more are added."""

ALIVE = (
    "exists (select 1 from vapo_workers w where w.name = {name} and greatest(w.seen, pg_postmaster_start_time())"
    " > now() - make_interval(secs => :silence))"
)


class Database(NamedTuple):
    """A PostgreSQL database, given by its SQLAlchemy address; connections are pooled per process."""

    address: str
    source: str = ""
    """Hash of the source whose rows count, beside those that do not say theirs; any if empty."""

    def __repr__(self) -> str:
        return f"Database({redacted(self.address)!r})"

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Mutual exclusion across machines by an advisory lock of that name, released when its connection closes."""
        key = int.from_bytes(hashlib.sha256(f"vapo {what}".encode()).digest()[:8], "big", signed=True)
        with engine(self.address).connect() as connection:
            connection.exec_driver_sql(f"select pg_advisory_lock({key})")
            try:
                yield
            finally:
                connection.exec_driver_sql(f"select pg_advisory_unlock({key})")

    def prepare(self) -> None:
        """Create the tables if they do not exist."""
        with self.alone("tables"):
            for table in TABLES:
                self._do(table)

    # --- workers ---

    @contextmanager
    def working(self) -> Iterator[str]:
        """Send heartbeats while the block runs; yields this worker's name."""
        me, done = uuid.uuid4().hex, threading.Event()
        thread = threading.Thread(target=self._keep_beating, args=(me, done), daemon=True)
        with _ignored():
            self._beat(me)
        thread.start()
        try:
            yield me
        finally:
            done.set()
            thread.join()

    def is_alive(self, worker: str) -> bool:
        """Whether a worker, on any machine, has sent a heartbeat recently."""
        return bool(self._do(f"select {ALIVE.format(name=':worker')}", worker=worker, silence=SILENCE_S)[0][0])

    def _keep_beating(self, me: str, done: threading.Event) -> None:
        while not done.wait(BEAT_S):
            with _ignored():  # the worker itself reports an unavailable database; the next beat may get through
                self._beat(me)
        with _ignored():
            self._do("delete from vapo_workers where name = :me", me=me)

    def _beat(self, me: str) -> None:
        self._do("insert into vapo_workers (name) values (:me) on conflict (name) do update set seen = now()", me=me)

    # --- rows of finished runs ---

    def rows(self, specs: Collection[str]) -> dict[str, dict[str, Any]]:
        """Spec hash -> row, for those runs that some machine has finished."""
        asked = [*specs, *map(self._key, specs)] if self.source else list(specs)
        found = self._do(
            "select spec, content from vapo_runs where spec = any(:specs) and content is not null", specs=asked
        )
        rows = {key: json.loads(content) for key, content in found}
        if self.source:
            rows = {key: row for key, row in rows.items() if key == self._key(row["spec"]) or "source" not in row}
        return {key.partition("-")[0]: row for key, row in sorted(rows.items())}  # one that says its source last

    def _key(self, spec: str) -> str:
        """What a run is called here: by its spec and the source that computes it."""
        return f"{spec}-{self.source}" if self.source else spec

    def put(self, spec: str, row: Mapping[str, Any], worker: str = "") -> None:
        """Publish a finished run's row, unless one is there already."""
        self._do(
            "insert into vapo_runs (spec, worker, content) values (:spec, :worker, :content) on conflict (spec) do update"
            " set worker = :worker, content = :content where vapo_runs.content is null",
            spec=self._key(spec), worker=worker, content=json.dumps(row),
        )  # fmt: skip

    def take(self, spec: str, worker: str) -> bool:
        """Claim a run that is not finished and not held by a live worker; returns whether the claim succeeded."""
        taken = self._do(
            "insert into vapo_runs (spec, worker) values (:spec, :worker) on conflict (spec) do update set worker = :worker"
            f" where vapo_runs.content is null and (vapo_runs.worker = :worker or not {ALIVE.format(name='vapo_runs.worker')})"
            " returning spec",
            spec=self._key(spec), worker=worker, silence=SILENCE_S,
        )  # fmt: skip
        return bool(taken)

    def leave(self, spec: str, worker: str) -> None:
        """Release the claim on an unfinished run."""
        self._do(
            "delete from vapo_runs where spec = :spec and worker = :worker and content is null",
            spec=self._key(spec),
            worker=worker,
        )

    def _do(self, statement: str, **values: Any) -> list[Any]:
        from sqlalchemy import text

        with engine(self.address).connect() as connection:
            found = connection.execute(text(statement), values)
            return list(found) if found.returns_rows else []


@contextmanager
def _ignored() -> Iterator[None]:
    """Ignore errors of a block whose effect is optional."""
    try:
        yield
    except Exception:
        return


@cache
def engine(address: str) -> Any:
    """The process's SQLAlchemy engine for a database, one per address."""
    from sqlalchemy import create_engine

    remember(address)
    return create_engine(address, isolation_level="AUTOCOMMIT", **POOL)
