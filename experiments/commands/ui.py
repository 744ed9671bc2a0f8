"""`vapo ui`: MLflow's pages on the local store, for this machine only."""

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
    """The server's command line; it binds to the loopback address alone."""
    from experiments.track import tracking_uri

    store = ["--backend-store-uri", tracking_uri(config.runs)]
    return [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(config.port), *store]


def run(words: Sequence[str]) -> int:
    """Parse, serve."""
    config = parse(UiConfig, UiConfig(), words, "ui")
    if not (config.runs / "mlflow.db").exists():
        raise FileNotFoundError(f"no {config.runs / 'mlflow.db'}; run something first")
    print(f"http://127.0.0.1:{config.port}")
    return subprocess.run(command(config), check=False).returncode
