"""MLflow gets the same points as the records; an unavailable server costs a warning and nothing else."""

import shutil
import socket

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from experiments.commands.sync import run as sync
from experiments.launchers.launch import local_map
from experiments.records.points import read_points
from experiments.runs.collect import from_mlflow, from_records, write_tables
from experiments.runs.run import run_one
from experiments.sync.invocation import close_tracking, open_tracking
from experiments.tracking.mlflow_run import MLflowRun, flat_params, is_synced, tracking_uri
from tests.support.sizes import WORKERS
from tests.support.worlds import small_spec
from vapo_core.settings import COMPONENTS


@pytest.fixture
def local(tmp_path, monkeypatch, empty_store):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_store, tmp_path)
    return tmp_path


def away() -> str:
    """The address of a server that does not answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def mlflow_points(client: MlflowClient, run) -> dict[tuple[str, int], float]:
    return {
        (name, point.step): point.value
        for name in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, name)
    }


def test_mlflow_has_the_same_points_params_and_tags_as_the_records(local):
    spec = small_spec()
    tracking = open_tracking(local, "study")
    assert tracking is not None
    run_one(spec, local, "study", tracking)
    close_tracking(tracking)
    client = MlflowClient(tracking_uri(local))
    (child,) = client.search_runs([tracking.experiment_id], f"tags.spec = '{spec.hash}'")
    recorded = {
        (name, step): value
        for step, metrics in read_points(local / spec.hash / "metrics.jsonl")
        for name, value in metrics.items()
    }
    assert mlflow_points(client, child) == pytest.approx(recorded)
    assert child.data.tags["mlflow.parentRunId"] == tracking.parent_run_id
    assert child.data.tags["state"] == "finished"
    assert {child.data.tags[k] for k in ("study", "recipe", "seed")} == {"study", "vapo", "0"}
    assert all(child.data.params[name] == "True" for name in COMPONENTS)
    assert child.data.params["settings.alpha"] == "0.5"
    assert client.get_run(tracking.parent_run_id).info.status == "FINISHED"


def test_a_child_run_is_called_what_its_design_calls_it(local):
    spec = small_spec(steps=1)
    tracking = open_tracking(local, "study", {spec.hash: "vapo alpha=0.25"})
    run_one(spec, local, "study", tracking)
    (child,) = MlflowClient(tracking_uri(local)).search_runs([tracking.experiment_id], "tags.cell = 'vapo alpha=0.25'")
    assert child.info.run_name == "vapo alpha=0.25, seed 0"


def test_server_away_is_a_warning_and_sync_uploads_later(local, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away())
    spec = small_spec()
    assert open_tracking(local, "study") is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "vapo sync" in said
    run_one(spec, local, "study", None)
    assert sync(["--runs", str(local)]) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync(["--runs", str(local)]) == 0
    assert is_synced(local / spec.hash, tracking_uri(local))
    client = MlflowClient(tracking_uri(local))
    experiment = client.get_experiment_by_name("study")
    found = client.search_runs([experiment.experiment_id], f"tags.spec = '{spec.hash}'")
    assert len(found) == 1
    assert len(mlflow_points(client, found[0])) > 50
    capsys.readouterr()
    assert sync(["--runs", str(local)]) == 0
    assert "uploaded 0 runs" in capsys.readouterr().out


def test_server_lost_in_the_middle_does_not_stop_the_run(local, monkeypatch, capsys):
    """The store answers when the run starts and fails from then on: one warning, whole records, sync repairs."""
    spec = small_spec()
    tracking = open_tracking(local, "study")

    def fail(self):
        raise ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(MLflowRun, "_flush", fail)
        row = run_one(spec, local, "study", tracking)
    assert row["state"] == "finished"
    assert capsys.readouterr().err.count("MLflow is unavailable") == 1
    assert not is_synced(local / spec.hash, tracking_uri(local))
    assert sync(["--runs", str(local)]) == 0
    client = MlflowClient(tracking_uri(local))
    found = client.search_runs([tracking.experiment_id], f"tags.spec = '{spec.hash}'")
    assert [run.data.tags["state"] for run in found] == ["finished"]


def test_tables_from_records_and_from_mlflow_are_equal(local):
    """Two run tables, one truth; a diverged run and one uploaded later by sync included."""
    probes = {"value_error": 2, "gradient_variance": 3}
    seeds = ((0, 2e-3), (1, 2e-3), (2, 1e38))
    specs = [small_spec(seed=seed, numbers={"policy_lr": rate}, probes=probes) for seed, rate in seeds]
    tracking = open_tracking(local, "study")
    for spec in specs[::2]:
        run_one(spec, local, "study", tracking)
    run_one(specs[1], local, "study", None)
    assert sync(["--runs", str(local)]) == 0
    order = [spec.hash for spec in specs]
    from_files, from_store = from_records(specs, local), from_mlflow(tracking_uri(local), "study", order)
    assert [run.row["state"] for run in from_files] == ["finished", "finished", "diverged"]
    for name, finished in (("files", from_files), ("store", from_store)):
        write_tables(finished, local / name)
    assert (local / "files" / "runs.csv").read_text() == (local / "store" / "runs.csv").read_text()
    curves = [pd.read_parquet(local / name / "curves.parquet") for name in ("files", "store")]
    pd.testing.assert_frame_equal(*curves)
    assert len(curves[0]) > 100
    arrays = [pd.read_parquet(local / name / "probes.parquet") for name in ("files", "store")]
    pd.testing.assert_frame_equal(*arrays)
    assert set(arrays[0]["probe"]) == {"value_error", "gradient_variance"}
    assert set(arrays[0]["step"]) == {0, 2, 3}


def test_unknown_study_is_one_clear_error(local):
    open_tracking(local, "study")
    with pytest.raises(ValueError, match="no study 'studdy'"):
        from_mlflow(tracking_uri(local), "studdy")


def test_params_of_a_component_go_by_its_one_name():
    params = flat_params(small_spec())
    assert set(COMPONENTS) <= set(params)
    assert params["task.name"] == "walk"


@pytest.mark.slow
def test_workers_on_fresh_stores_lose_no_metric(local, capsys):
    """All of them write to one new SQLite file at once; MLflow and the records still hold the same points."""
    (local / "mlflow.db").unlink()
    specs = [small_spec(seed=seed, steps=2, probes={"exploration": 1}) for seed in range(2 * WORKERS)]
    tracking = open_tracking(local, "study")
    assert local_map(specs, local, "study", WORKERS, tracking, lambda spec, row: None) == []
    close_tracking(tracking)
    recorded = from_records(specs, local)
    stored = from_mlflow(tracking_uri(local), "study", [spec.hash for spec in specs])
    assert len(recorded) == len(stored) == len(specs)
    for mine, theirs in zip(recorded, stored, strict=True):
        assert [step for step, _ in mine.points] == [step for step, _ in theirs.points]
        for (_, here), (_, there) in zip(mine.points, theirs.points, strict=True):
            assert there == pytest.approx(here)
    assert "MLflow is unavailable" not in capsys.readouterr().err
