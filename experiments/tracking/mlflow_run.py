"""Live logging to MLflow: the same points as the local records, one experiment per study. The only importer of mlflow.

If the store is unavailable, one warning is printed and the run goes on; `vapo sync` uploads later.
"""

import json
import logging
import os
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from experiments.services.addresses import database_address, is_postgres, redacted, remember
from experiments.services.retry import reason_of, retry_with_backoff, say_once
from experiments.specs.exact import AnySpec
from vapo_core.files import write_whole


class Tracking(NamedTuple):
    """Where one command's runs are logged in MLflow."""

    uri: str
    experiment_id: str
    parent_run_id: str
    labels: Mapping[str, str] = {}
    """Spec hash -> label of the design's cell, where it differs from the arm's."""
    folder: str = ""
    """Name of this runs folder, where several folders share one store; runs of the others are left alone."""

    def __repr__(self) -> str:
        return f"Tracking({redacted(self.uri)!r}, {self.experiment_id!r}, {self.parent_run_id!r})"


PATIENCE_S = 90.0
"""Seconds that a run waits for an unavailable database before it goes on without tracking."""


AWAY, DATABASE = ".database-is-away", "MLflow's database"
"""Marker file by which processes report an outage once, and the name used in that report."""


def tracking_uri(runs: Path) -> str:
    """MLFLOW_TRACKING_URI, else an SQLite file beside the runs.

    Raises:
        ValueError: if it is an invalid PostgreSQL address.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if is_postgres(given):
        return database_address("MLFLOW_TRACKING_URI", given)
    remember(given)
    return given or sqlite_uri(runs / "mlflow.db")


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file, with special characters in its name escaped."""
    return f"sqlite:///{str(path.resolve()).replace('%', '%25').replace('?', '%3F')}"


def is_served(uri: str) -> bool:
    """Whether the store is behind a server, so that any machine can write to it."""
    return uri.startswith(("http://", "https://", "databricks"))


BUSY_MS = 5000
"""Milliseconds to wait for a locked SQLite file; MLflow's default of 20 seconds would be spent in every run."""

POOL = {f"MLFLOW_SQLALCHEMYSTORE_{name}": value for name, value in
        {"POOL_SIZE": "1", "MAX_OVERFLOW": "2", "POOL_RECYCLE": "600"}.items()}  # fmt: skip
"""Connection pool for a database server, for one process with one thread."""

NO_POOL = {"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"}
"""No pool for an SQLite file: a pooled connection would not notice that the file has been replaced."""


def client(uri: str) -> Any:
    """An MLflow client with short timeouts. Imports mlflow, which takes seconds."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    gone, there = (POOL, NO_POOL) if uri.startswith("sqlite:") else (NO_POOL, POOL)
    for name in gone:
        os.environ.pop(name, None)
    os.environ.update(there)
    warnings.filterwarnings("ignore", module="mlflow")
    from mlflow.tracking import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils"):  # after the import, which sets log levels itself
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a lost database is reported here, in one line
    if not is_served(uri):
        _wait_briefly()
    return MlflowClient(tracking_uri=uri)


@cache
def _wait_briefly() -> None:
    """Shorten MLflow's waits for a database, and keep it from creating folders: it does not decode %3F in a file's name."""
    from mlflow.store.db import utils
    from sqlalchemy import Engine, event

    utils.MAX_RETRY_COUNT = 1
    utils._make_parent_dirs_if_sqlite = lambda uri: None

    def shorten(connection: Any, cursor: Any, statement: str, *rest: Any) -> tuple[str, Any]:
        busy = statement.startswith("PRAGMA busy_timeout")
        return (f"PRAGMA busy_timeout = {BUSY_MS};" if busy else statement), rest[0]

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)


def warn_away(error: Exception, runs: Path | None = None) -> None:
    """Warn that tracking failed while recording continues; given a runs folder, once for all its processes."""
    line = f"warning: MLflow is unavailable ({reason_of(error)}); recording locally; upload later with `vapo sync`"
    if runs is None:
        print(line, file=sys.stderr)
    else:
        say_once(line, runs / ".mlflow-is-away")


class MLflowRun:
    """A child run, logged live in batches; if the store becomes unavailable, logging stops after one warning."""

    FLUSH_SECONDS = 5.0
    BATCH = 900

    def __init__(
        self, tracking: Tracking, spec: AnySpec, tags: Mapping[str, str], run_dir: Path, again: bool = False
    ) -> None:
        """Args: again, whether an earlier attempt may have left a run in the store, which is then deleted."""
        self._tracking, self._run_dir = tracking, run_dir
        self._again = again
        self._pending: list[Any] = []
        self._last = time.monotonic()
        self._client: Any = None
        self._run_id, self._ticket, self._tried = "", uuid.uuid4().hex, False
        self._guard(lambda: self._open(spec, tags))

    def _open(self, spec: AnySpec, tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        mlflow, experiment = client(self._tracking.uri), self._tracking.experiment_id
        if self._again:
            _drop_earlier(mlflow, self._tracking, spec.hash)
            self._again = False
        cell = self._tracking.labels.get(spec.hash, spec.arm)
        # a lost connection leaves open whether the run was created: it is found again by its ticket
        found = mlflow.search_runs([experiment], f"tags.ticket = '{self._ticket}'") if self._tried else []
        self._tried = True
        known = {"cell": cell, "mlflow.parentRunId": self._tracking.parent_run_id, "state": "running",
                 **folder_tag(self._tracking)}  # fmt: skip
        run = found[0] if found else mlflow.create_run(
            experiment, run_name=f"{cell}, seed {spec.seed}", tags={**tags, **known, "ticket": self._ticket}
        )  # fmt: skip
        params = [Param(key, str(value)[:6000]) for key, value in flat_params(spec).items()]
        mlflow.log_batch(run.info.run_id, params=params)
        mlflow.log_dict(run.info.run_id, spec.model_dump(mode="json"), "config.json")
        self._run_id, self._client = run.info.run_id, mlflow

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Queue a point; queued points are sent every few seconds."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._pending += [Metric(k, v, now, step) for k, v in metrics.items()]
        if time.monotonic() - self._last > self.FLUSH_SECONDS or len(self._pending) > self.BATCH:
            self._guard(self._flush)

    def finish(self, row: Mapping[str, Any]) -> None:
        """Send remaining points and the row, end the run, and mark it as synced in its folder."""
        self._guard(self._flush)
        self._guard(lambda: self._end(row))

    def abandon(self) -> None:
        """Mark the run as killed: it did not finish."""
        self._guard(lambda: self._client.set_terminated(self._run_id, "KILLED"))

    def _flush(self) -> None:
        while self._pending:
            self._client.log_batch(self._run_id, metrics=self._pending[: self.BATCH])
            self._pending = self._pending[self.BATCH :]
        self._last = time.monotonic()

    def _end(self, row: Mapping[str, Any]) -> None:
        self._client.log_dict(self._run_id, {"row": json.dumps(row)}, "row.json")  # as text, since it may hold NaN
        if (self._run_dir / "probes.jsonl").exists():
            self._client.log_artifact(self._run_id, str(self._run_dir / "probes.jsonl"))
        self._client.set_tag(self._run_id, "state", row["state"])
        self._client.set_terminated(self._run_id, "FINISHED" if row["state"] == "finished" else "FAILED")
        mark_synced(self._run_dir, self._tracking.uri, self._run_id)

    def _guard(self, action: Callable[[], None]) -> None:
        """Call `action`, waiting for a database that restarts; on failure warn once and stop logging."""
        if self._run_id and self._client is None:
            return
        try:
            retry_with_backoff(action, PATIENCE_S, self._run_dir.parent / AWAY, DATABASE)
        except Exception as error:
            warn_away(error, self._run_dir.parent)
            self._run_id, self._client, self._pending = "away", None, []


def _drop_earlier(mlflow: Any, tracking: Tracking, spec: str) -> None:
    """Delete runs left by earlier attempts: interrupted ones, and ones whose row was deleted."""
    for run in mlflow.search_runs([tracking.experiment_id], f"tags.spec = '{spec}'"):
        if is_ours(run, tracking):
            mlflow.delete_run(run.info.run_id)


def folder_tag(tracking: Tracking) -> dict[str, str]:
    """The tag that distinguishes runs of this folder from those of other folders in the same store."""
    return {"folder": tracking.folder} if tracking.folder else {}


def is_ours(run: Any, tracking: Tracking) -> bool:
    """Whether an MLflow run belongs to this runs folder."""
    return bool(run.data.tags.get("folder", "") == tracking.folder)


def flat_params(spec: AnySpec) -> dict[str, Any]:
    """Spec fields as flat MLflow parameters; a component's toggle is named as the component."""
    content = spec.model_dump(mode="json")
    named = {"arm": spec.arm, "spec": spec.hash, **content.pop("toggles", {})}
    for key, value in content.items():
        if isinstance(value, dict):
            named |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            named[key] = value
    return named


def mark_synced(run_dir: Path, uri: str, run_id: str) -> None:
    """Record that this store holds the complete run."""
    write_whole(run_dir / "mlflow.json", json.dumps({"uri": redacted(uri), "run_id": run_id}))


def synced_as(run_dir: Path, uri: str) -> str | None:
    """Id of the MLflow run that holds the complete run in this store, None if none is recorded."""
    try:
        found = json.loads((run_dir / "mlflow.json").read_text(encoding="utf-8"))
        return str(found["run_id"]) if found["uri"] == redacted(uri) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_synced(run_dir: Path, uri: str) -> bool:
    """Whether this store is known to hold the complete run."""
    return synced_as(run_dir, uri) is not None
