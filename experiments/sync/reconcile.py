"""MLflow brought in line with the records: one finished run for every row, and none at work whose process is gone.

A kill may fall between any two of a run's messages to MLflow, or MLflow's store may be lost as a whole; the records stay.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from experiments.runs.repair import read_row
from experiments.services.claims import Busy, claimed
from experiments.services.heartbeat import is_alive
from experiments.services.retry import reason_of
from experiments.sync.upload import upload
from experiments.tracking.mlflow_run import Tracking, client, is_ours, mark_synced, synced_as

WHOLE = {"finished": "FINISHED", "diverged": "FAILED"}
"""A run's state once MLflow has all of it -> what MLflow calls that."""

COMMANDS = ".commands"
"""Folder beside the runs where every command at work holds a lock."""


def settle(tracking: Tracking, runs: Path) -> None:
    """End what MLflow believes to be running, of this folder of records and of any study, where no process is at it."""
    mlflow = client(tracking.uri)
    in_folder = f" and tags.folder = '{tracking.folder}'" if tracking.folder else ""
    for run in list(_search(mlflow, _experiments(mlflow), f"attributes.status = 'RUNNING'{in_folder}")):
        tags = run.data.tags
        if tags.get("kind") == "invocation":
            if not is_alive(runs / COMMANDS, tags.get("command", "")):
                mlflow.set_terminated(run.info.run_id, "KILLED")
        elif "spec" in tags:
            _settle_child(mlflow, run, runs / tags["spec"])


def _settle_child(mlflow: Any, run: Any, run_dir: Path) -> None:
    """End a run that nobody holds: as what it was if MLflow has all of it; gone if its row has yet to be uploaded."""
    if not run_dir.is_dir():
        mlflow.set_terminated(run.info.run_id, "KILLED")
        return
    with suppress(Busy), claimed(run_dir, wait_s=0):
        state = run.data.tags.get("state", "")
        if state in WHOLE:
            mlflow.set_terminated(run.info.run_id, WHOLE[state])
        elif read_row(run_dir) is None:
            mlflow.set_terminated(run.info.run_id, "KILLED")
        else:
            mlflow.delete_run(run.info.run_id)


def lacking(tracking: Tracking, run_dirs: Iterable[Path]) -> list[Path]:
    """Folders of finished runs that MLflow does not hold as a whole. Of those it holds twice, one stays."""
    mlflow, held = client(tracking.uri), dict[str, list[Any]]()
    for run in _search(mlflow, [tracking.experiment_id], ""):
        if run.data.tags.get("state") in WHOLE and _has_row(run):
            held.setdefault(run.data.tags.get("spec", ""), []).append(run)
    missing = []
    for run_dir in run_dirs:
        if run_dir.name in held:
            _keep_one(mlflow, tracking, run_dir, held[run_dir.name])
        else:
            missing.append(run_dir)
    return missing


def fill(tracking: Tracking, run_dirs: Sequence[Path], study: str) -> int:
    """Upload finished runs, but for those that another process is at work on; how many could not be read.

    Raises:
        ConnectionError: if the store goes away meanwhile.
    """
    unreadable = 0
    for run_dir in run_dirs:
        try:
            with claimed(run_dir, wait_s=0):
                upload(run_dir, study, tracking)
        except Busy:
            continue
        except (ValueError, KeyError, TypeError) as error:
            print(f"warning: {run_dir}: not uploaded ({reason_of(error)})", file=sys.stderr)
            unreadable += 1
        else:
            if synced_as(run_dir, tracking.uri) is None:
                raise ConnectionError("the server became unavailable during the upload")
    return unreadable


def finished(runs: Path) -> dict[str, list[Path]]:
    """Study -> folders of its finished runs."""
    found: dict[str, list[Path]] = {}
    for path in sorted(runs.glob("*/row.json")):
        row = read_row(path.parent)
        if row is not None and isinstance(row.get("study"), str):
            found.setdefault(row["study"], []).append(path.parent)
    return found


def _keep_one(mlflow: Any, tracking: Tracking, run_dir: Path, found: list[Any]) -> None:
    """The one that the records know, else the latest; another folder's are not ours to remove."""
    known = synced_as(run_dir, tracking.uri)
    found.sort(key=lambda run: (run.info.run_id == known, run.info.start_time))
    *others, kept = found
    for run in others:
        if is_ours(run, tracking):
            mlflow.delete_run(run.info.run_id)
    if kept.info.run_id != known:
        mark_synced(run_dir, tracking.uri, kept.info.run_id)


def _has_row(run: Any) -> bool:
    """Whether the row is there, too, where the store keeps it as a file of this machine."""
    place = urlsplit(run.info.artifact_uri)
    return place.scheme != "file" or (Path(unquote(place.path)) / "row.json").exists()


def _experiments(mlflow: Any) -> list[str]:
    found, token = [], ""
    while True:
        page = mlflow.search_experiments(page_token=token or None)
        found += [experiment.experiment_id for experiment in page]
        if not (token := page.token or ""):
            return found


def _search(mlflow: Any, experiments: list[str], condition: str) -> Iterator[Any]:
    """Every run of these experiments, page by page."""
    token = ""
    while True:
        page = mlflow.search_runs(experiments, condition, page_token=token or None)
        yield from page
        if not (token := page.token or ""):
            return
