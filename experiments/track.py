"""MLflow: the same points as the records, live, under one experiment per study. The only importer of mlflow.

A store that is away costs one line of warning and nothing else; `vapo sync` uploads later.
"""

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from experiments.arrays import Arrays, read_arrays
from experiments.exact import AnySpec
from experiments.records import Points


class Tracking(NamedTuple):
    """Where an invocation's runs go in MLflow."""

    uri: str
    experiment_id: str
    parent_run_id: str
    labels: Mapping[str, str] = {}
    """Spec hash -> what the design calls that cell, where it is more than the arm."""


def tracking_uri(runs: Path) -> str:
    """MLFLOW_TRACKING_URI, else an SQLite file beside the runs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(runs / 'mlflow.db').resolve()}"


def client(uri: str) -> Any:
    """An MLflow client that gives up soon on a server that is away. Imports mlflow, which takes seconds."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import logging

    warnings.filterwarnings("ignore", module="mlflow")
    from mlflow.tracking import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils"):  # after the import, which sets levels of its own
        logging.getLogger(name).setLevel(logging.WARNING)

    return MlflowClient(tracking_uri=uri)


def open_tracking(runs: Path, study: str, labels: Mapping[str, str] | None = None) -> Tracking | None:
    """Initialise the store once, from the parent process, and open this invocation's parent run.

    Returns:
        None, after one line of warning, when the store cannot be reached: the runs then go to local records alone.
    """
    uri = tracking_uri(runs)
    runs.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(runs / "mlflow.lock"):  # two first commands at once would break the store's migrations
            mlflow = client(uri)
            experiment = mlflow.get_experiment_by_name(study)
            place = _artifacts(uri, runs)
            experiment_id = experiment.experiment_id if experiment else mlflow.create_experiment(study, place)
        name = f"{study} {time.strftime('%Y-%m-%d %H:%M:%S')}"
        parent = mlflow.create_run(experiment_id, run_name=name, tags={"study": study, "kind": "invocation"})
        return Tracking(uri, experiment_id, parent.info.run_id, dict(labels or {}))
    except Exception as error:
        warn_away(error)
        return None


def _artifacts(uri: str, runs: Path) -> str | None:
    """Beside the runs for a local store (MLflow's own default is the current folder); a server decides for itself."""
    return (runs / "mlartifacts").resolve().as_uri() if uri.startswith("sqlite:") else None


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


def warn_away(error: Exception) -> None:
    """One line: tracking failed, the records go on."""
    reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
    print(f"warning: MLflow is away ({reason}); recording locally, `vapo sync` uploads later", file=sys.stderr)


class MLflowRun:
    """A child run, written live in batches; a server that goes away is noted once and left alone."""

    FLUSH_SECONDS = 5.0
    BATCH = 900

    def __init__(self, tracking: Tracking, spec: AnySpec, tags: Mapping[str, str], home: Path) -> None:
        self._tracking, self._home = tracking, home
        self._pending: list[Any] = []
        self._last = time.monotonic()
        self._client: Any = None
        self._run_id = ""
        self._guard(lambda: self._open(spec, tags))

    def _open(self, spec: AnySpec, tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        mlflow = client(self._tracking.uri)
        cell = self._tracking.labels.get(spec.hash, spec.arm)
        run = mlflow.create_run(
            self._tracking.experiment_id,
            run_name=f"{cell}, seed {spec.seed}",
            tags={**tags, "cell": cell, "mlflow.parentRunId": self._tracking.parent_run_id, "state": "running"},
        )
        self._run_id, self._client = run.info.run_id, mlflow
        params = [Param(key, str(value)[:6000]) for key, value in flat_params(spec).items()]
        mlflow.log_batch(self._run_id, params=params)
        mlflow.log_dict(self._run_id, spec.model_dump(mode="json"), "config.json")

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

    def _guard(self, action: Any) -> None:
        """Do it; on any failure warn once and stop talking to the server."""
        if self._run_id and self._client is None:
            return
        try:
            action()
        except Exception as error:
            warn_away(error)
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


def drop_partial(tracking: Tracking, spec_hash: str) -> None:
    """Remove what an interrupted attempt at this spec left without its end; a store that is away is left alone."""
    try:
        mlflow = client(tracking.uri)
        query = f"tags.spec = '{spec_hash}' and tags.state = 'running'"
        for run in mlflow.search_runs([tracking.experiment_id], filter_string=query):
            mlflow.delete_run(run.info.run_id)
    except Exception as error:
        warn_away(error)


def stored_runs(uri: str, study: str) -> Iterator[tuple[dict[str, Any], Points, Callable[[], list[Arrays]]]]:
    """Row, points and (when called for) probes' arrays of every whole run of a study in a store.

    Raises:
        ValueError: if the store has no such study.
    """
    mlflow = client(uri)
    experiment = mlflow.get_experiment_by_name(study)
    if experiment is None:
        raise ValueError(f"{uri} has no study {study!r}")
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
    (home / "mlflow.json").write_text(json.dumps({"uri": uri, "run_id": run_id}))


def is_synced(home: Path, uri: str) -> bool:
    """Whether this store is known to hold the whole run."""
    try:
        return json.loads((home / "mlflow.json").read_text())["uri"] == uri
    except (OSError, ValueError, KeyError):
        return False
