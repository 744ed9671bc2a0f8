"""MLflow: the same points as the records, live, under one experiment per study. The only importer of mlflow.

A store that is away costs one line of warning and nothing else; `vapo sync` uploads later.
"""

import json
import os
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from experiments.addresses import database_address, is_postgres, redacted, remember
from experiments.arrays import Arrays, read_arrays
from experiments.exact import AnySpec
from experiments.patience import patiently, reason_of, say_once
from experiments.records import Points


class Tracking(NamedTuple):
    """Where an invocation's runs go in MLflow."""

    uri: str
    experiment_id: str
    parent_run_id: str
    labels: Mapping[str, str] = {}
    """Spec hash -> what the design calls that cell, where it is more than the arm."""

    def __repr__(self) -> str:
        return f"Tracking({redacted(self.uri)!r}, {self.experiment_id!r}, {self.parent_run_id!r})"


PATIENCE_S = 90.0
"""Seconds that a run waits for a database that is away; then it goes on without."""


AWAY, DATABASE = ".database-is-away", "MLflow's database"
"""File beside the runs by which their processes say it once, and what they say is away."""


def tracking_uri(runs: Path) -> str:
    """MLFLOW_TRACKING_URI, else an SQLite file beside the runs.

    Raises:
        ValueError: if it is meant for PostgreSQL and cannot be.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    if is_postgres(given):
        return database_address("MLFLOW_TRACKING_URI", given)
    remember(given)
    return given or f"sqlite:///{(runs / 'mlflow.db').resolve()}"


def is_served(uri: str) -> bool:
    """Whether a server stands before the store, so that any machine can write to it."""
    return uri.startswith(("http://", "https://", "databricks"))


def client(uri: str) -> Any:
    """An MLflow client that gives up soon on a server that is away. Imports mlflow, which takes seconds."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")  # of one process, which has one thread
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", "2")
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE", "600")
    import logging

    warnings.filterwarnings("ignore", module="mlflow")
    from mlflow.tracking import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils"):  # after the import, which sets levels of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a lost database: we say it, in one line
    if is_postgres(uri):
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = 1  # how long to wait is ours to say

    return MlflowClient(tracking_uri=uri)


def open_tracking(runs: Path, study: str, labels: Mapping[str, str] | None = None) -> Tracking | None:
    """Initialise the store once, from the parent process, and open this invocation's parent run.

    Returns:
        None, after one line of warning, when the store cannot be reached: the runs then go to local records alone.
    """
    uri = tracking_uri(runs)
    runs.mkdir(parents=True, exist_ok=True)
    name = f"{study} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    try:
        with (
            FileLock(runs / "mlflow.lock"),
            alone(uri),
        ):  # two first commands at once would break the store's migrations
            mlflow = client(uri)
            experiment = mlflow.get_experiment_by_name(study)
            place = _artifacts(uri, runs)
            experiment_id = experiment.experiment_id if experiment else mlflow.create_experiment(study, place)
        parent = mlflow.create_run(experiment_id, run_name=name, tags={"study": study, "kind": "invocation"})
        return Tracking(uri, experiment_id, parent.info.run_id, dict(labels or {}))
    except Exception as error:
        warn_away(error)
        return None


def alone(uri: str) -> AbstractContextManager[None]:
    """Only one process on all machines is within, where the store is a PostgreSQL database."""
    if not is_postgres(uri):
        return nullcontext()
    from experiments.database import Database

    return Database(uri).alone("mlflow")


def _artifacts(uri: str, runs: Path) -> str | None:
    """Beside the runs for a file or a database (MLflow's own default is the current folder); a server decides for itself."""
    return None if is_served(uri) else (runs / "mlartifacts").resolve().as_uri()


def close_tracking(tracking: Tracking | None, artifacts: Path | None = None) -> None:
    """End the invocation's parent run, with a folder of figures and tables as its artifacts."""
    if tracking is None:
        return
    try:
        mlflow = client(tracking.uri)
        if artifacts is not None:
            mlflow.log_artifacts(tracking.parent_run_id, str(artifacts))
        mlflow.set_terminated(tracking.parent_run_id, "FINISHED")
    except Exception as error:
        warn_away(error)


def warn_away(error: Exception, runs: Path | None = None) -> None:
    """One line: tracking failed, the records go on. With a folder of runs, one line for all its processes."""
    line = f"warning: MLflow is away ({reason_of(error)}); recording locally, `vapo sync` uploads later"
    if runs is None:
        print(line, file=sys.stderr)
    else:
        say_once(line, runs / ".mlflow-is-away")


class MLflowRun:
    """A child run, written live in batches; a server that goes away is noted once and left alone."""

    FLUSH_SECONDS = 5.0
    BATCH = 900

    def __init__(self, tracking: Tracking, spec: AnySpec, tags: Mapping[str, str], home: Path) -> None:
        self._tracking, self._home = tracking, home
        self._pending: list[Any] = []
        self._last = time.monotonic()
        self._client: Any = None
        self._run_id, self._ticket, self._tried = "", uuid.uuid4().hex, False
        self._guard(lambda: self._open(spec, tags))

    def _open(self, spec: AnySpec, tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        mlflow, home = client(self._tracking.uri), self._tracking.experiment_id
        cell = self._tracking.labels.get(spec.hash, spec.arm)
        # a lost connection does not tell whether the run was made: then it is found again by its ticket
        found = mlflow.search_runs([home], f"tags.ticket = '{self._ticket}'") if self._tried else []
        self._tried = True
        known = {"cell": cell, "mlflow.parentRunId": self._tracking.parent_run_id, "state": "running"}
        run = found[0] if found else mlflow.create_run(
            home, run_name=f"{cell}, seed {spec.seed}", tags={**tags, **known, "ticket": self._ticket}
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
        """Send the rest and the row, end the run, and note in its folder that this store has all of it."""
        self._guard(self._flush)
        self._guard(lambda: self._end(row))

    def abandon(self) -> None:
        """The run did not get to its end."""
        self._guard(lambda: self._client.set_terminated(self._run_id, "KILLED"))

    def _flush(self) -> None:
        while self._pending:
            self._client.log_batch(self._run_id, metrics=self._pending[: self.BATCH])
            self._pending = self._pending[self.BATCH :]
        self._last = time.monotonic()

    def _end(self, row: Mapping[str, Any]) -> None:
        self._client.log_dict(self._run_id, {"row": json.dumps(row)}, "row.json")  # as text: NaN and all
        if (self._home / "probes.jsonl").exists():
            self._client.log_artifact(self._run_id, str(self._home / "probes.jsonl"))
        self._client.set_tag(self._run_id, "state", row["state"])
        self._client.set_terminated(self._run_id, "FINISHED" if row["state"] == "finished" else "FAILED")
        mark_synced(self._home, self._tracking.uri, self._run_id)

    def _guard(self, action: Callable[[], None]) -> None:
        """Do it, waiting for a database that is started anew; on any failure warn once and stop talking to the store."""
        if self._run_id and self._client is None:
            return
        try:
            patiently(action, PATIENCE_S, self._home.parent / AWAY, DATABASE)
        except Exception as error:
            warn_away(error, self._home.parent)
            self._run_id, self._client, self._pending = "away", None, []


def flat_params(spec: AnySpec) -> dict[str, Any]:
    """Spec fields under MLflow's names; a component's toggle goes by its one name."""
    content = spec.model_dump(mode="json")
    named = {"arm": spec.arm, "spec": spec.hash, **content.pop("toggles", {})}
    for key, value in content.items():
        if isinstance(value, dict):
            named |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            named[key] = value
    return named


def drop_partial(tracking: Tracking, home: Path) -> None:
    """Remove what an interrupted attempt at a run left without its end; a store that stays away is left alone.

    Args:
        home: the run's folder, named by its spec's hash.
    """

    def drop() -> None:
        mlflow = client(tracking.uri)
        query = f"tags.spec = '{home.name}' and tags.state = 'running'"
        for run in mlflow.search_runs([tracking.experiment_id], filter_string=query):
            mlflow.delete_run(run.info.run_id)

    try:
        patiently(drop, PATIENCE_S, home.parent / AWAY, DATABASE)
    except Exception as error:
        warn_away(error, home.parent)


def stored_runs(uri: str, study: str) -> Iterator[tuple[dict[str, Any], Points, Callable[[], list[Arrays]]]]:
    """Row, points and (when called for) probes' arrays of every whole run of a study in a store.

    Raises:
        ValueError: if the store has no such study.
    """
    mlflow = client(uri)
    experiment = mlflow.get_experiment_by_name(study)
    if experiment is None:
        raise ValueError(f"{redacted(uri)} has no study {study!r}")
    token: str | None = None
    while token is None or token:
        page = mlflow.search_runs([experiment.experiment_id], page_token=token)
        for run in page:
            if run.data.tags.get("state") in ("finished", "diverged"):
                yield _row(mlflow, run.info.run_id), _history(mlflow, run), partial(_arrays, mlflow, run.info.run_id)
        token = page.token or ""


def _row(mlflow: Any, run_id: str) -> dict[str, Any]:
    """The row a finished run was closed with."""
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(mlflow.download_artifacts(run_id, "row.json", scratch)).read_text(encoding="utf-8")
    return json.loads(json.loads(text)["row"])


def _arrays(mlflow: Any, run_id: str) -> list[Arrays]:
    """What probes left, if there were any."""
    if all(item.path != "probes.jsonl" for item in mlflow.list_artifacts(run_id)):
        return []
    with tempfile.TemporaryDirectory() as scratch:
        return read_arrays(Path(mlflow.download_artifacts(run_id, "probes.jsonl", scratch)))


def _history(mlflow: Any, run: Any) -> Points:
    """Every point of a run, from its metric histories."""
    by_step: dict[int, dict[str, float]] = {}
    for name in run.data.metrics:
        for point in mlflow.get_metric_history(run.info.run_id, name):
            by_step.setdefault(point.step, {})[name] = point.value
    return sorted(by_step.items())


def mark_synced(home: Path, uri: str, run_id: str) -> None:
    """Remember that this store holds the whole run."""
    (home / "mlflow.json").write_text(json.dumps({"uri": redacted(uri), "run_id": run_id}))


def is_synced(home: Path, uri: str) -> bool:
    """Whether this store is known to hold the whole run."""
    try:
        return json.loads((home / "mlflow.json").read_text())["uri"] == redacted(uri)
    except (OSError, ValueError, KeyError):
        return False
