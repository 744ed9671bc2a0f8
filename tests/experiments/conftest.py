"""Records that tests of MLflow start from."""

import shutil
from pathlib import Path

import pytest

from experiments.runs.run import run_one
from experiments.tracking.mlflow_store import ready_store
from tests.support.mlflow_state import SPECS, STUDY


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """MLflow's file without a run in it: its fifty migrations take seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    ready_store(f"sqlite:///{path}", own=True)
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory, empty_store) -> Path:
    """Two finished runs and an empty store."""
    folder = tmp_path_factory.mktemp("made")
    for spec in SPECS:
        run_one(spec, folder, STUDY)
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture
def runs(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(shutil.copytree(made, tmp_path / "runs"))
