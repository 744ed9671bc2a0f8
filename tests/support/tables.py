"""The dated tables of `make soak`."""

import csv
import io
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.runs.source import git_commit
from vapo_core.files import write_whole


def stamp() -> dict[str, str]:
    """The date, the commit at hand and the machine."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"date": time.strftime("%Y-%m-%d"), "git_commit": git_commit(), "machine": machine}


def write_rows(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Rows with equal keys, the file whole or not at all."""
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out, sink.getvalue())


def write_table(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Rows with equal keys, each followed by its stamp."""
    known = stamp()
    write_rows([{**row, **known} for row in rows], out)
