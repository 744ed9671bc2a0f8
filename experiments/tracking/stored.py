"""Read finished runs from an MLflow store: the same rows, points and arrays as in the local records."""

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from experiments.records.arrays import Arrays, read_arrays
from experiments.records.points import Points
from experiments.services.addresses import redacted
from experiments.tracking.mlflow_run import client


def stored_runs(uri: str, study: str) -> Iterator[tuple[dict[str, Any], Points, Callable[[], list[Arrays]]]]:
    """Row, points and (loaded on demand) probe arrays of every finished run of a study in a store.

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
    """The final row of a finished run."""
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(mlflow.download_artifacts(run_id, "row.json", scratch)).read_text(encoding="utf-8")
    return json.loads(json.loads(text)["row"])


def _arrays(mlflow: Any, run_id: str) -> list[Arrays]:
    """Arrays recorded by probes; empty if there are none."""
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
