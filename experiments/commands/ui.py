"""`vapo ui`: the MLflow interface on the local store, for this machine only."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.specs.options import parse
from vapo_core.reading import reading
from vapo_core.settings import Frozen


class UiConfig(Frozen):
    """Serve the MLflow UI on 127.0.0.1; stop with Ctrl-C."""

    runs: Path = Field(Path("runs"), description="folder of records")
    port: int = Field(5000, ge=1, le=65535, description="port on the loopback address")


def command(config: UiConfig) -> list[str]:
    """The server's command line; it binds to the loopback address alone. The store, which may have a password, is no
    part of it."""
    return [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(config.port)]


def environment(config: UiConfig) -> dict[str, str]:
    """The server's environment, with its store.

    Raises:
        ValueError: if the runs are recorded by another server, which has pages of its own.
        FileNotFoundError: if nothing is recorded yet.
    """
    from experiments.tracking.mlflow_run import is_served, tracking_uri

    uri = tracking_uri(config.runs)
    if is_served(uri):
        raise ValueError("MLFLOW_TRACKING_URI names a server with its own UI: open that address")
    own = config.runs / "mlflow.db"
    file = Path(uri.removeprefix("sqlite:///").partition("?")[0]) if os.environ.get("MLFLOW_TRACKING_URI") else own
    if uri.startswith("sqlite:") and not file.exists():
        raise FileNotFoundError(f"no {file}; run an experiment first")
    if uri.startswith("sqlite:") and not file.is_file():
        raise ValueError(f"{file}: is a folder, but MLflow's store is a file")
    return {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}


def run(words: Sequence[str]) -> int:
    """Parse, serve."""
    config = parse(UiConfig, UiConfig(), words, "ui")
    settings = environment(config)
    _check(config, settings["MLFLOW_BACKEND_STORE_URI"])
    print(f"http://127.0.0.1:{config.port}", flush=True)
    code = subprocess.run(command(config), check=False, env=settings).returncode
    if code:
        raise OSError(f"the server on port {config.port} exited with code {code}")
    return 0


def _check(config: UiConfig, uri: str) -> None:
    """See that the server will come up, which by itself would fill screens with why it does not.

    Raises:
        OSError: if the port is taken or may not be used.
        ValueError: if the store cannot be opened.
    """
    from experiments.tracking.mlflow_run import client

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", config.port))
        except OSError as error:
            raise OSError(f"port = {config.port}: {error.strerror}; choose another with --port") from None
    store = config.runs / "mlflow.db" if not os.environ.get("MLFLOW_TRACKING_URI") else "MLFLOW_TRACKING_URI"
    with reading(store, "MLflow cannot open it"):
        client(uri).search_experiments(max_results=1)
