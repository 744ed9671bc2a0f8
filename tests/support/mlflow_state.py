"""What MLflow holds of a small folder of records, and what sets it right."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from experiments.commands.sync import run as sync
from experiments.sync.invocation import tracked
from experiments.tracking.mlflow_run import client, synced_as, tracking_uri
from tests.support.worlds import small_spec

STUDY = "study"
SPECS = [small_spec(seed=seed, steps=1) for seed in range(2)]


def stored(runs: Path, uri: str = "") -> list:
    """Every active run of every experiment."""
    mlflow = client(uri or tracking_uri(runs))
    places = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    return list(mlflow.search_runs(places))


def statuses(runs: Path, kind: str = "invocation") -> list[str]:
    return sorted(run.info.status for run in stored(runs) if run.data.tags.get("kind", "child") == kind)


def is_right(runs: Path, uri: str = "") -> bool:
    """One finished run per row, none at work, and the records know it."""
    found = stored(runs, uri)
    done = sorted(run.data.tags["spec"] for run in found if "spec" in run.data.tags and run.info.status == "FINISHED")
    rows = sorted(path.parent.name for path in runs.glob("*/row.json"))
    known = {run.info.run_id for run in found}
    marked = {synced_as(runs / name, uri or tracking_uri(runs)) for name in rows}
    return done == rows and marked <= known and "RUNNING" not in {run.info.status for run in found}


def command(runs: Path) -> None:
    """What every command does around its work, which is already done."""
    with tracked(runs, STUDY):
        pass


HEALS = pytest.mark.parametrize("heal", [command, lambda runs: sync(["--runs", str(runs)])], ids=["command", "sync"])


def change(runs: Path, *statements: str) -> None:
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
