"""MLflow's SQLite file: created under a temporary name and renamed, so that a kill leaves no half-made file; repaired if damaged.

MLflow creates its tables in about fifty migrations, which SQLite commits one by one; a file from an interrupted migration can no
longer be opened ("table ... already exists").
"""

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experiments.services.addresses import redacted
from experiments.services.retry import causes, reason_of
from experiments.tracking.mlflow_run import client, sqlite_uri
from vapo_core.files import clear_scratch, set_aside

DAMAGE = ("already exists", "no such table", "no such column", "duplicate column name", "not a database", "malformed")
"""SQLite's messages for a damaged file."""

OTHER_VERSION = ("out-of-date database schema", "Can't locate revision")
"""MLflow's messages for a file of another version, or one interrupted between two migrations."""

SIDES = ("-journal", "-wal", "-shm")
"""SQLite's side files. One left by a deleted database would be replayed into the next database of that name."""


class BadAddress(ValueError):
    """MLFLOW_TRACKING_URI names an unsupported kind of store."""


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite address, None for any other store."""
    name = unquote(uri.removeprefix("sqlite:///").partition("?")[0])
    return Path(name) if uri.startswith("sqlite:///") and name not in ("", ":memory:") else None


def ready_store(uri: str, own: bool) -> Any:
    """A client for a store that has been opened successfully. Call it while no other process opens the store.

    Args:
        uri: its address.
        own: whether it is the file in the runs folder, which is set aside if it cannot be opened; any other file is set
            aside only if it is an MLflow database without runs.
    """
    path = sqlite_file(uri)
    if path is None:
        return _opened(uri)
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        _make(path)
    try:
        return _opened(uri)
    except Exception as error:
        if not _is_damaged(path, error, own):
            raise
        reason = f"MLflow cannot open it ({'a folder' if path.is_dir() else reason_of(error)})"
    set_aside(path, reason, "a new store is created and filled from the records")
    _make(path)
    return _opened(uri)


def _opened(uri: str) -> Any:
    try:
        mlflow = client(uri)
        mlflow.search_experiments(max_results=1)
    except Exception as error:
        if "unsupported URI" not in str(error):
            raise
        raise BadAddress(
            f"MLFLOW_TRACKING_URI: {redacted(uri)!r} is not a store that MLflow supports; allowed: http://, https://,"
            " sqlite:///, postgresql://, mysql://, mssql://, databricks, file:"
        ) from None
    return mlflow


def _make(path: Path) -> None:
    """Run all migrations on a temporary file, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_scratch(path.parent, f"{path.name}.")
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        _opened(sqlite_uri(made))
        for side in SIDES:
            Path(f"{path}{side}").unlink(missing_ok=True)
        os.replace(made, path)


def _is_damaged(path: Path, error: Exception, own: bool) -> bool:
    text, runs = " ".join(map(str, causes(error))), _runs_in(path)
    if own and (path.is_dir() or any(sign in text for sign in DAMAGE)):
        return True
    return runs == 0 and any(sign in text for sign in (*DAMAGE, *OTHER_VERSION))


def _runs_in(path: Path) -> int | None:
    """Number of runs in an MLflow database; None if the file is not one."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        return int(database.execute("select count(*) from runs").fetchone()[0])
    return None
