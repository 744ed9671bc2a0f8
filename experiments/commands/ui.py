"""`vapo ui`: MLflow's pages on the local store, for this machine only."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.options import parse
from vapo_core.settings import Frozen


class UiConfig(Frozen):
    """Serve MLflow's pages on 127.0.0.1; stop with Ctrl-C."""

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
    from experiments.track import is_served, tracking_uri

    uri = tracking_uri(config.runs)
    if is_served(uri):
        raise ValueError("MLFLOW_TRACKING_URI names a server, which shows its own pages: open that address")
    if uri.startswith("sqlite:") and not (config.runs / "mlflow.db").exists():
        raise FileNotFoundError(f"no {config.runs / 'mlflow.db'}; run something first")
    return {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}


def run(words: Sequence[str]) -> int:
    """Parse, serve."""
    config = parse(UiConfig, UiConfig(), words, "ui")
    settings = environment(config)
    print(f"http://127.0.0.1:{config.port}")
    return subprocess.run(command(config), check=False, env=settings).returncode
