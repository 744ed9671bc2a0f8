"""MLflow's store, however it was left: opened, made again and filled, or said in one line at once."""

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

from experiments.cli import main
from experiments.commands.sync import run as sync
from experiments.runs.run import run_one
from experiments.sync.invocation import open_tracking
from tests.support.mlflow_state import HEALS, STUDY, change, command, is_right
from tests.support.worlds import small_spec

ROOT = Path(__file__).parents[3]


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
from experiments.sync.invocation import open_tracking
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
    assert said.startswith("warning: MLflow is unavailable (")


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
    assert [line.split(";")[0] for line in said.splitlines()] == [
        "warning: MLflow is unavailable (database is locked)"
    ] * 2
    command(runs)
    assert is_right(runs)
