"""`vapo ls`: what has been run."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.inventory import entries
from experiments.options import known, parse
from vapo_core.settings import Frozen

STATES = ("finished", "diverged", "unfinished")


class LsConfig(Frozen):
    """List runs, the latest first."""

    runs: Path = Field(Path("runs"), description="folder of records")
    study: str = Field("", description="only runs of this study")
    state: str = Field("", description="only runs in this state: finished, diverged or unfinished")
    limit: int = Field(40, ge=1, description="most lines")


def run(words: Sequence[str]) -> int:
    """Parse, list."""
    config = parse(LsConfig, LsConfig(), words, "ls")
    from rich import box
    from rich.console import Console
    from rich.table import Table

    known("state", config.state, ("", *STATES))
    everything = entries(config.runs)
    studies = {str(e.row.get("study")) for e in everything if e.row}
    known("study", config.study, {"", *studies} if everything else {config.study})
    found = [e for e in everything if config.state in ("", e.state)]
    found = [e for e in found if config.study in ("", (e.row or {}).get("study"))]
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("run", "world", "arm", "seed", "state", "first", "last", "AUC", "s"):
        table.add_column(column, justify="left" if column in ("run", "world", "arm", "state") else "right")
    for entry in found[: config.limit]:
        row = entry.row
        scores = [f"{row[k]:.3f}" if k in row else "" for k in ("first", "last", "auc")] if row else [""] * 3
        scores.append(f"{row['seconds']:.0f}" if row else "")
        cells = (entry.home.name, entry.spec.world, entry.spec.arm, str(entry.spec.seed), entry.state, *scores)
        table.add_row(*cells)
    Console(width=None if len(found) == 0 else 120).print(table)
    print(f"{len(found)} runs" + (f", {config.limit} shown" if len(found) > config.limit else ""))
    return 0
