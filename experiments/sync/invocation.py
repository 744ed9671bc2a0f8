"""A command's own MLflow run, the parent of its runs; MLflow is reconciled at its beginning and end."""

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock

from experiments.services.addresses import is_postgres
from experiments.services.heartbeat import alive
from experiments.sync.reconcile import COMMANDS, fill, finished, lacking, settle
from experiments.tracking.mlflow_run import Tracking, client, folder_tag, is_served, tracking_uri, warn_away
from experiments.tracking.mlflow_store import BadAddress, ready_store, sqlite_file
from vapo_core.files import write_whole

UPLOADS_SAID = 20
"""So many uploads at once take long enough to be announced."""


@contextmanager
def tracked(
    runs: Path, study: str, labels: Mapping[str, str] | None = None, artifacts: Path | None = None
) -> Iterator[Tracking | None]:
    """Track a command while the block runs; None is yielded, after one line of warning, if the store cannot be reached.

    Whatever ends the command, its own run and its children's come to an end; a command that got to its end leaves one
    finished run in MLflow for each of the study's rows.

    Args:
        runs: folder of records.
        study: name of the experiment.
        labels: spec hash -> what the design calls that cell.
        artifacts: folder of figures and tables that a finished command leaves with its own run.

    Raises:
        BadAddress: as `open_tracking` does.
    """
    with alive(runs / COMMANDS) as me:
        tracking = open_tracking(runs, study, labels, me)
        try:
            yield tracking
            if tracking is not None:
                _complete(tracking, runs, study)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            close_tracking(tracking, None, "KILLED" if stopped else "FAILED", runs)
            raise
        close_tracking(tracking, artifacts, "FINISHED", runs)


def open_tracking(
    runs: Path, study: str, labels: Mapping[str, str] | None = None, command: str = ""
) -> Tracking | None:
    """Make the store if need be, from the parent process, and open this invocation's parent run.

    Args:
        command: name of the lock that this command holds while it is at work.

    Returns:
        None, after one line of warning, when the store cannot be reached: the runs then go to local records alone.

    Raises:
        BadAddress: if MLFLOW_TRACKING_URI names no kind of store there is.
    """
    try:
        tracking = open_experiment(runs, study)
        settle(tracking, runs)
        return begun(tracking, study, command)._replace(labels=dict(labels or {}))
    except BadAddress:
        raise
    except Exception as error:
        warn_away(error)
        return None


def open_experiment(runs: Path, study: str) -> Tracking:
    """The study's experiment, without a parent run yet.

    Raises:
        Exception: whatever MLflow raises of a store that cannot be opened.
    """
    with _opened(runs) as (mlflow, tracking):
        experiment = mlflow.get_experiment_by_name(study)
        if experiment is None:
            place = None if is_served(tracking.uri) else (runs / "mlartifacts").resolve().as_uri()
            return tracking._replace(experiment_id=mlflow.create_experiment(study, place))
        if experiment.lifecycle_stage == "deleted":  # MLflow keeps its name, and would refuse a new one
            print(f"warning: experiment {study!r} was deleted in MLflow; restoring it", file=sys.stderr)
            mlflow.restore_experiment(experiment.experiment_id)
        return tracking._replace(experiment_id=experiment.experiment_id)


def settle_store(runs: Path) -> None:
    """End what dead processes left running in the store; there need not be a store."""
    path = sqlite_file(tracking_uri(runs))
    if path is None or path.exists():
        with _opened(runs) as (_, tracking):
            pass
        settle(tracking, runs)


@contextmanager
def _opened(runs: Path) -> Iterator[tuple[Any, Tracking]]:
    """The store, made or mended if need be; two at once would break its migrations."""
    uri = tracking_uri(runs)
    runs.mkdir(parents=True, exist_ok=True)
    own = _is_beside(uri, runs)
    with FileLock(_lock_of(uri, runs)), alone(uri):
        yield ready_store(uri, own), Tracking(uri, "", "", folder="" if own else _name_of(runs))


def begun(tracking: Tracking, study: str, command: str = "") -> Tracking:
    """With a parent run."""
    name = f"{study} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    tags = {"study": study, "kind": "invocation", "command": command, **folder_tag(tracking)}
    parent = client(tracking.uri).create_run(tracking.experiment_id, run_name=name, tags=tags)
    return tracking._replace(parent_run_id=parent.info.run_id)


def close_tracking(
    tracking: Tracking | None, artifacts: Path | None = None, status: str = "FINISHED", runs: Path | None = None
) -> None:
    """End the invocation's parent run, with a folder of figures and tables as its artifacts.

    Args:
        runs: folder of records; given, children whose processes are gone are ended as well.
    """
    if tracking is None:
        return
    try:
        mlflow = client(tracking.uri)
        try:
            if artifacts is not None:
                mlflow.log_artifacts(tracking.parent_run_id, str(artifacts))
        finally:
            mlflow.set_terminated(tracking.parent_run_id, status)
        if runs is not None:
            settle(tracking, runs)
    except Exception as error:
        warn_away(error)


def _complete(tracking: Tracking, runs: Path, study: str) -> None:
    """Upload those of the study's rows that MLflow does not hold: of killed workers, of times when it was away."""
    try:
        settle(tracking, runs)
        missing = lacking(tracking, finished(runs).get(study, []))
        if len(missing) >= UPLOADS_SAID:
            print(f"uploading {len(missing)} finished runs that MLflow does not have yet", file=sys.stderr)
        fill(tracking, missing, study)
    except Exception as error:
        warn_away(error)


def alone(uri: str) -> AbstractContextManager[None]:
    """Only one process on all machines is within, where the store is a PostgreSQL database."""
    if not is_postgres(uri):
        return nullcontext()
    from experiments.services.database import Database

    return Database(uri).alone("mlflow")


def _is_beside(uri: str, runs: Path) -> bool:
    """Whether the store is the file beside the runs, which no other folder of records uses."""
    path = sqlite_file(uri)
    return path is not None and path.resolve() == (runs / "mlflow.db").resolve()


def _lock_of(uri: str, runs: Path) -> Path:
    """Beside an SQLite file, so that commands with other folders of records wait for it, too."""
    path = sqlite_file(uri)
    if path is None:
        return runs / "mlflow.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_suffix(".lock")


def _name_of(runs: Path) -> str:
    """This folder's name in stores that it shares, drawn once; hold the store's lock."""
    path = runs / ".mlflow-folder"
    if not path.exists():
        write_whole(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8").strip()
