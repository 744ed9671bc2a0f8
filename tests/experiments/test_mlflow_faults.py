"""After any fault the next command, or `vapo sync`, leaves one finished MLflow run per row and none at work."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from experiments.alive import alive
from experiments.claims import claimed
from experiments.cli import main
from experiments.commands.sync import run as sync
from experiments.invocation import open_tracking, tracked
from experiments.mlflow_store import ready_store
from experiments.reconcile import COMMANDS
from experiments.run import Tee, run_one
from experiments.track import MLflowRun, Tracking, client, synced_as, tracking_uri
from experiments.upload import upload
from tests.worlds import small_spec

ROOT = Path(__file__).parents[2]
STUDY = "study"
SPECS = [small_spec(seed=seed, steps=1) for seed in range(2)]


class Killed(BaseException):
    """As if the process were gone: no handler of ours answers it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Two finished runs and an empty store."""
    folder = tmp_path_factory.mktemp("made")
    for spec in SPECS:
        run_one(spec, folder, STUDY)
    ready_store(f"sqlite:///{folder / 'mlflow.db'}", own=True)
    return folder


@pytest.fixture
def runs(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(shutil.copytree(made, tmp_path / "runs"))


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


# --- a store that cannot be opened ---


def half_migrated(runs: Path) -> None:
    change(runs, "drop table secrets", "delete from alembic_version")


def between_migrations(runs: Path) -> None:
    change(runs, "update alembic_version set version_num = '451aebb31d03'")


def no_database(runs: Path) -> None:
    (runs / "mlflow.db").write_text("no database at all, but long enough to be looked at as one " * 20)


def cut_short(runs: Path) -> None:
    os.truncate(runs / "mlflow.db", 5000)


def a_folder(runs: Path) -> None:
    (runs / "mlflow.db").unlink()
    (runs / "mlflow.db").mkdir()


@HEALS
@pytest.mark.parametrize("damage", [half_migrated, between_migrations, no_database, cut_short, a_folder])
def test_a_store_that_cannot_be_opened_is_set_aside_and_filled_again(runs, capsys, damage, heal):
    damage(runs)
    capsys.readouterr()
    heal(runs)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "kept as mlflow.db.damaged1" in said
    assert (runs / "mlflow.db.damaged1").exists()
    assert is_right(runs)
    heal(runs)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("statements", [5, 60, 300])
def test_a_kill_while_the_store_is_made_leaves_none(runs, capsys, statements):
    (runs / "mlflow.db").unlink()
    code = f"""
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from experiments.invocation import open_tracking
left = [{statements}]
def count(*rest):
    left[0] -= 1
    if not left[0]:
        os._exit(9)
event.listen(Engine, "after_cursor_execute", count)
open_tracking(Path(sys.argv[1]), "study")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code, str(runs)], cwd=ROOT, env=environment).returncode == 9
    assert not (runs / "mlflow.db").exists()
    command(runs)
    assert capsys.readouterr().err == ""
    assert is_right(runs)
    assert list(runs.glob(".mlflow.db.*")) == []


@HEALS
def test_a_deleted_store_is_filled_again(runs, capsys, heal):
    """Also within one process, whose connections must not keep the file that is gone."""
    assert sync(["--runs", str(runs)]) == 0
    (runs / "mlflow.db").unlink()
    heal(runs)
    assert is_right(runs)
    assert capsys.readouterr().err == ""


def test_what_lay_beside_a_deleted_store_is_not_played_into_the_new_one(runs):
    change(runs, "create table old (x)")
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        database.execute("pragma cache_size = 1")
        database.execute("begin immediate")
        database.executemany("insert into old values (?)", [("x" * 1000,)] * 500)
        journal = (runs / "mlflow.db-journal").read_bytes()
    (runs / "mlflow.db").unlink()
    (runs / "mlflow.db-journal").write_bytes(journal)
    command(runs)
    assert is_right(runs)


def test_an_empty_file_becomes_a_store(runs, capsys):
    (runs / "mlflow.db").write_bytes(b"")
    command(runs)
    assert capsys.readouterr().err == ""
    assert is_right(runs)


def test_a_store_of_another_version_with_runs_in_it_is_left_alone(runs, capsys):
    change(runs, "insert into runs (run_uuid, name) values ('a', 'b')")
    between_migrations(runs)
    assert open_tracking(runs, STUDY) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "out-of-date database schema" in said
    assert not list(runs.glob("*.damaged*"))


def test_somebody_elses_file_is_left_alone(runs, tmp_path, monkeypatch, capsys):
    file = tmp_path / "notes.txt"
    file.write_text("notes " * 500)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    assert open_tracking(runs, STUDY) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "not a database" in said
    assert file.read_text() == "notes " * 500


class Page(BaseHTTPRequestHandler):
    """Some other server's answer to everything."""

    def do_GET(self):
        body = b"<!DOCTYPE html>\n<title>hello</title>\n"
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *rest):
        pass


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_a_server_that_is_not_mlflow_is_said_at_once(runs, monkeypatch, capsys, status):
    server = HTTPServer(("127.0.0.1", 0), Page)
    server.status = status
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
    started = time.monotonic()
    assert open_tracking(runs, STUDY) is None
    assert time.monotonic() - started < 15
    server.shutdown()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("warning: MLflow is away (")


@pytest.mark.parametrize("name", ["a%20b", "what?", "50%", "[x]*#&=;"])
def test_a_folder_of_records_may_be_called_anything(made, tmp_path, monkeypatch, capsys, name):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "odd").mkdir()
    runs = Path(shutil.copytree(made, tmp_path / "odd" / name))
    command(runs)
    assert is_right(runs)
    assert capsys.readouterr().err == ""
    assert [path.name for path in (tmp_path / "odd").iterdir()] == [name]


@pytest.mark.parametrize("name", ["sqlite:////proc/none/mlflow.db", "sqlite:////"])
def test_a_store_that_cannot_be_made_is_said_at_once(runs, monkeypatch, capsys, name):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", name)
    started = time.monotonic()
    assert open_tracking(runs, STUDY) is None
    assert time.monotonic() - started < 15
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("uri", ["htp://127.0.0.1:5000", "ftp://host/x", "redis://host/0"])
def test_an_unknown_scheme_is_wrong_input(runs, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main(["sync", "--runs", str(runs)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"vapo: MLFLOW_TRACKING_URI: '{uri}' ")
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_URI"):
        open_tracking(runs, STUDY)


def test_a_locked_store_costs_seconds_per_run_and_one_line(runs, capsys):
    spec = small_spec(seed=5, steps=1)
    tracking = open_tracking(runs, STUDY)
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        database.execute("begin exclusive")
        started = time.monotonic()
        run_one(spec, runs, STUDY, tracking)
        assert time.monotonic() - started < 15
        assert open_tracking(runs, STUDY) is None
        database.rollback()
    said = capsys.readouterr().err
    assert [line.split(";")[0] for line in said.splitlines()] == ["warning: MLflow is away (database is locked)"] * 2
    command(runs)
    assert is_right(runs)


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
    patch.setattr("experiments.track.mark_synced", gone)


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
    assert "experiment 'study' was deleted in MLflow; it is restored" in capsys.readouterr().err
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
    assert f"{SPECS[0].hash}: it is not uploaded" in said.err
    assert "uploaded 1 runs" in said.out


def test_an_address_is_shown_without_its_password():
    shown = repr(Tracking("postgresql+psycopg://me:verysecret@host/db", "1", "2"))
    assert "verysecret" not in shown
    assert json.dumps(shown)
