"""Notebooks and their paired scripts: kept equal, and run in place so that the same data give the same bytes.

`python -m analysis.notebooks.execute notebooks/*.py`, or `make notebooks`.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECONDS = 600
"""Longest that one cell may take."""

LOOPBACK = "127.0.0.1"

BUSY = "ignore:Creating legend with loc"
"""Matplotlib's warning that a legend took a second to place: it comes of a busy machine, not of the data."""


def synchronise(script: Path) -> Path:
    """Bring a script and its notebook to the newer of the two, as jupytext does; returns the notebook's path."""
    from jupytext.cli import jupytext

    jupytext(["--sync", "--quiet", str(script)])
    return script.with_suffix(".ipynb")


def execute(notebook: Any, folder: Path) -> Any:
    """Run every cell from a folder and return the notebook with its outputs, free of times, versions and random names.

    The kernel listens on this machine's loopback address alone.

    Args:
        notebook: a nbformat node.
        folder: the kernel's working directory.

    Raises:
        nbclient.exceptions.CellExecutionError: with the cell's traceback.
    """
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", record_timing=False, extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.create_kernel_manager()
    client.km.ip = LOOPBACK  # said here, so that no one's settings can say otherwise
    done = client.execute(env={**os.environ, "PYTHONWARNINGS": BUSY})
    done.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(done.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
    return done


def main(scripts: Sequence[str]) -> int:
    """Synchronise and run notebooks, one after the other."""
    import nbformat

    for script in map(Path, scripts):
        path = synchronise(script)
        done = execute(nbformat.read(path, as_version=4), path.parent)
        nbformat.write(done, path)
        print(f"executed {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
