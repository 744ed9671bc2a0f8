"""Passwords: recognised in addresses, in fields and as themselves, and never said; and what counts as a lost connection."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.services import addresses, retry
from experiments.services.addresses import database_address, is_postgres, redacted, remember
from experiments.services.database import Database
from experiments.sweeps.sweep import SweepConfig
from experiments.tracking.mlflow_run import Tracking, is_synced, mark_synced
from vapo_core.settings import DEFAULT_SETTINGS, Evaluation

SECRET = "open-sesame-4711"


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    """What one test mentioned is no help to the next."""
    monkeypatch.setattr(addresses, "_MENTIONED", set())
    for name in addresses.KEPT_SECRET:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@db:5432/x is away",
        f"could not parse 'postgresql+psycopg://me:{SECRET}@db/x'",
        f"http://me:{SECRET}@mlflow.internal/api",
        f"postgresql://me:{SECRET}@odd@db/x",
        f"host=db password={SECRET} dbname=x",
        f"postgresql://db/x?user=me&password={SECRET}&sslmode=require",
        f"no option --storage=postgresql://me:{SECRET}@db/x",
    ],
)
def test_a_password_in_a_text_is_starred(text):
    said = redacted(text)
    assert SECRET not in said
    assert "***" in said
    assert redacted(said) == said


def test_what_has_no_password_stays_as_it_is():
    for text in ("sqlite:////home/me/runs/mlflow.db", "http://127.0.0.1:5000", "postgresql://me@db/x", "a: b @ c"):
        assert redacted(text) == text


def test_a_known_password_is_starred_wherever_it_stands(monkeypatch):
    remember(f"postgresql://me:{SECRET}%40x@db/x")
    assert redacted(f"tried {SECRET}@x, then {SECRET}%40x") == "tried ***, then ***"
    monkeypatch.setenv("PGPASSWORD", "another-secret")
    assert redacted("with another-secret") == "with ***"


def test_an_address_names_our_driver_and_a_limit():
    pytest.importorskip("psycopg", reason="needs psycopg (pip install -e '.[cluster]')")
    found = database_address("storage", f"postgresql://me:{SECRET}@db:5432/x?sslmode=require")
    assert found == f"postgresql+psycopg://me:{SECRET}@db:5432/x?connect_timeout=5&sslmode=require"
    assert is_postgres(found)
    assert not is_postgres("sqlite:///x")


@pytest.mark.parametrize("text", ["mysql://me:{}@db/x", "postgresql://me:{}@@db/x", "postgresql://me:{}@db", "{}",
                                  "postgresql://me:{}@db:x/y", "postgresql://me:{}@db/x#y"])  # fmt: skip
def test_what_is_no_address_is_one_line_without_the_password(text, capsys, tmp_path):
    with pytest.raises(ValueError, match="storage: expected postgresql://") as caught:
        database_address("storage", text.format(SECRET))
    assert SECRET not in str(caught.value)
    assert main(["sweep", "alpha", "--runs", str(tmp_path), "--storage", text.format(SECRET)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert SECRET not in said.out + said.err


def test_a_missing_driver_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(addresses.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"\.\[cluster\]"):
        database_address("storage", "postgresql://me@db/x")


def test_nothing_that_is_shown_or_kept_holds_an_address(tmp_path):
    """Configurations, places and the note of what is uploaded."""
    address = f"postgresql://me:{SECRET}@db/x"
    config = SweepConfig(names=("alpha",), storage=address, settings=DEFAULT_SETTINGS["walk"], evaluation=Evaluation())
    assert config.storage == address
    shown = [repr(config), config.model_dump_json(), repr(Tracking(address, "1", "2")), repr(Database(address))]
    assert not [text for text in shown if SECRET in text]
    mark_synced(tmp_path, address, "run")
    assert SECRET not in (tmp_path / "mlflow.json").read_text()
    assert is_synced(tmp_path, address)


def test_a_traceback_is_starred():
    code = f"from experiments.services.addresses import *; redact_uncaught(); a = ''.join(['postgresql://me:', '{SECRET[:4]}', " \
           f"'{SECRET[4:]}', '@db/x']); raise RuntimeError(a)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, check=False)
    assert SECRET.encode() not in done.stderr
    assert b"RuntimeError: postgresql://me:***@db/x" in done.stderr


# --- waiting ---


class OperationalError(Exception):
    """As the driver's."""


OperationalError.__module__ = "psycopg"


def test_a_lost_connection_is_waited_for_and_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(retry.time, "sleep", lambda seconds: None)
    tries = []

    def action():
        tries.append(1)
        if len(tries) < 5:
            raise RuntimeError("the store") from OperationalError("connection refused")
        return "done"

    assert retry.retry_with_backoff(action, 60, tmp_path / "away", "the database") == "done"
    assert retry.retry_with_backoff(lambda: "again", 60, tmp_path / "away", "the database") == "again"
    tries.clear()
    assert retry.retry_with_backoff(action, 60, tmp_path / "away", "the database") == "done"
    said = capsys.readouterr().err
    assert said == "the database is unavailable (connection refused); retrying for up to 60 s\n"


@pytest.mark.parametrize(
    "error", [ValueError("broken"), OperationalError('password authentication failed for user "me"'),
              OperationalError('database "x" does not exist')]
)  # fmt: skip
def test_what_waiting_does_not_mend_is_not_waited_for(error, tmp_path, capsys):
    def action():
        raise error

    with pytest.raises(type(error)):
        retry.retry_with_backoff(action, 60, tmp_path / "away", "the database")
    assert capsys.readouterr().err == ""


def test_patience_ends(tmp_path, capsys):
    def action():
        raise OperationalError("gone")

    started = time.monotonic()
    with pytest.raises(OperationalError):
        retry.retry_with_backoff(action, 0.2, tmp_path / "away", "the database")
    assert time.monotonic() - started < 60
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["psycopg", "psycopg.pq", "sqlalchemy.pool.impl.QueuePool"])
def test_drivers_do_not_tell_of_a_lost_connection_themselves(name):
    """We do, in one line; the same words come to us as an error."""
    assert not logging.getLogger(name).isEnabledFor(logging.ERROR)
