"""The dated tables of `make soak`."""

import csv
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.run import git_commit


def write_table(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Rows with equal keys, each followed by the date, the commit at hand and the machine."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    known = {"date": time.strftime("%Y-%m-%d"), "git_commit": git_commit(), "machine": machine}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], *known], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **known} for row in rows)
