"""After any fault the next command, or `vapo sync`, leaves one finished MLflow run per row and none at work."""

import json
import shutil
from pathlib import Path

import pytest

from experiments.commands.sync import run as sync
from experiments.runs.run import Tee, run_one
from experiments.services.claims import claimed
from experiments.services.heartbeat import alive
from experiments.sync.invocation import open_tracking, tracked
from experiments.sync.reconcile import COMMANDS
from experiments.sync.upload import upload
from experiments.tracking.mlflow_run import MLflowRun, Tracking, client, synced_as, tracking_uri
from tests.support.mlflow_state import HEALS, SPECS, STUDY, command, is_right, statuses, stored
from tests.support.worlds import small_spec


class Killed(BaseException):
    """As if the process were gone: no handler of ours answers it."""


# --- kills between two messages ---


def before_its_end(patch) -> None:
    patch.setattr(MLflowRun, "finish", gone)


def before_the_state(patch) -> None:
    from mlflow.tracking import MlflowClient

    patch.setattr(MlflowClient, "set_tag", gone)


def between_state_and_end(patch) -> None:
    from mlflow.tracking import MlflowClient

    patch.setattr(MlflowClient, "set_terminated", gone)


def before_the_marker(patch) -> None:
    patch.setattr("experiments.tracking.mlflow_run.mark_synced", gone)


def gone(*rest, **named):
    raise Killed


@HEALS
@pytest.mark.parametrize("place", [before_its_end, before_the_state, between_state_and_end, before_the_marker])
def test_a_kill_between_two_messages_counts_nothing_twice(runs, capsys, monkeypatch, place, heal):
    tracking = open_tracking(runs, STUDY)
    with monkeypatch.context() as patch:
        place(patch)
        with pytest.raises(Killed):
            upload(runs / SPECS[0].hash, STUDY, tracking)
    heal(runs)
    assert is_right(runs)
    assert capsys.readouterr().err == ""


@HEALS
def test_a_kill_in_the_middle_of_a_run_leaves_none_at_work(runs, monkeypatch, heal):
    spec, tracking = small_spec(seed=5, steps=1), open_tracking(runs, STUDY)
    with monkeypatch.context() as patch:
        patch.setattr(MLflowRun, "abandon", lambda self: None)
        patch.setattr(Tee, "write", gone)
        with pytest.raises(Killed):
            run_one(spec, runs, STUDY, tracking)
    heal(runs)
    assert is_right(runs)
    run_one(spec, runs, STUDY, tracking)
    command(runs)
    assert is_right(runs)
    assert len(list(runs.glob("*/row.json"))) == 3


def test_a_run_made_again_replaces_the_earlier_one(runs):
    """Its row was damaged, or its folder is gone: MLflow still has the first."""
    command(runs)
    (runs / SPECS[0].hash / "row.json").write_text("{")
    shutil.rmtree(runs / SPECS[1].hash)
    with tracked(runs, STUDY) as tracking:
        for spec in SPECS:
            run_one(spec, runs, STUDY, tracking)
    assert is_right(runs)


def test_of_runs_that_were_counted_twice_one_stays(runs):
    tracking = open_tracking(runs, STUDY)
    upload(runs / SPECS[0].hash, STUDY, tracking)
    kept = synced_as(runs / SPECS[0].hash, tracking.uri)
    mlflow = client(tracking.uri)
    twin = mlflow.create_run(tracking.experiment_id, tags={"spec": SPECS[0].hash, "state": "finished"})
    mlflow.log_dict(twin.info.run_id, {}, "row.json")
    mlflow.set_terminated(twin.info.run_id, "FINISHED")
    command(runs)
    assert is_right(runs)
    assert synced_as(runs / SPECS[0].hash, tracking.uri) == kept


# --- what people delete ---


@HEALS
def test_a_deleted_experiment_is_restored(runs, capsys, heal):
    command(runs)
    (experiment,) = client(tracking_uri(runs)).search_experiments(filter_string=f"name = '{STUDY}'")
    client(tracking_uri(runs)).delete_experiment(experiment.experiment_id)
    heal(runs)
    assert "experiment 'study' was deleted in MLflow; restoring it" in capsys.readouterr().err
    assert is_right(runs)


@HEALS
def test_a_deleted_run_is_uploaded_again(runs, heal):
    command(runs)
    client(tracking_uri(runs)).delete_run(synced_as(runs / SPECS[0].hash, tracking_uri(runs)))
    heal(runs)
    assert is_right(runs)


@HEALS
def test_runs_whose_rows_are_gone_from_mlflow_are_uploaded_again(runs, heal):
    command(runs)
    shutil.rmtree(runs / "mlartifacts")
    heal(runs)
    assert is_right(runs)
    assert len(list((runs / "mlartifacts").rglob("row.json"))) == 2


# --- who is at work ---


def test_a_command_that_was_killed_is_ended_by_the_next_and_a_living_one_is_not(runs):
    open_tracking(runs, STUDY, command="killed")
    with alive(runs / COMMANDS) as living:
        open_tracking(runs, STUDY, command=living)
        command(runs)
        assert statuses(runs) == ["FINISHED", "KILLED", "RUNNING"]
    assert sync(["--runs", str(runs)]) == 0
    assert statuses(runs) == ["FINISHED", "KILLED", "KILLED"]


def test_a_run_that_somebody_holds_is_left_at_work(runs):
    spec, tracking = small_spec(seed=5, steps=1), open_tracking(runs, STUDY)
    MLflowRun(tracking, spec, {"spec": spec.hash}, runs / spec.hash)
    with claimed(runs / spec.hash):
        command(runs)
        assert "RUNNING" in statuses(runs, "child")
    command(runs)
    assert "RUNNING" not in statuses(runs, "child")


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (OSError, "FAILED")])
def test_however_a_command_ends_its_run_ends_with_it(runs, error, status):

    def fail() -> None:
        with tracked(runs, STUDY) as tracking:
            MLflowRun(tracking, SPECS[0], {"spec": SPECS[0].hash}, runs / SPECS[0].hash)
            raise error

    with pytest.raises(error):
        fail()
    assert statuses(runs) == [status]
    assert "RUNNING" not in statuses(runs, "child")
    assert list((runs / COMMANDS).iterdir()) == []


def test_in_a_shared_store_other_folders_are_left_alone(runs, made, tmp_path, monkeypatch):
    """Two folders of records, as of two machines, with the same rows in one store; only what is ours is touched."""
    uri = f"sqlite:///{shutil.copy(made / 'mlflow.db', tmp_path / 'shared.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    other = Path(shutil.copytree(made, tmp_path / "other"))
    theirs = open_tracking(other, STUDY)
    spec = small_spec(seed=5, steps=1)
    MLflowRun(theirs, spec, {"spec": spec.hash}, other / spec.hash)
    command(runs)
    found = [run for run in stored(runs, uri) if run.data.tags["folder"] == theirs.folder]
    assert [run.info.status for run in found] == ["RUNNING"] * 2
    assert sync(["--runs", str(other)]) == 0
    assert is_right(other, uri)
    assert is_right(runs, uri)


def test_an_unreadable_spec_hides_no_other_run(runs, capsys):
    (runs / SPECS[0].hash / "spec.json").write_text("{")
    assert sync(["--runs", str(runs)]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert f"{SPECS[0].hash}: not uploaded" in said.err
    assert "uploaded 1 runs" in said.out


def test_an_address_is_shown_without_its_password():
    shown = repr(Tracking("postgresql+psycopg://me:verysecret@host/db", "1", "2"))
    assert "verysecret" not in shown
    assert json.dumps(shown)
