"""`vapo ls`: list runs, and the ablations and studies that have tables."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.runs.inventory import RunFolder, Unknown, listing, say_damage
from experiments.specs.options import known, parse
from vapo_core.settings import Frozen

STATES = ("finished", "diverged", "unfinished", "damaged", "newer")


class LsConfig(Frozen):
    """List runs, the latest first, and the names of ablations and quick studies, for `vapo table` and `vapo compare`."""

    runs: Path = Field(Path("runs"), description="folder of records")
    study: str = Field("", description="list only runs of this study")
    state: str = Field("", description="list only runs in this state: finished, diverged, unfinished, damaged or newer")
    limit: int = Field(40, ge=1, le=1_000_000, description="maximum number of runs listed")


def run(words: Sequence[str]) -> int:
    """Parse, list."""
    config = parse(LsConfig, LsConfig(), words, "ls")
    from rich import box
    from rich.console import Console
    from rich.table import Table

    known("state", config.state, ("", *STATES))
    there = listing(config.runs)
    say_damage(there)
    known(
        "study",
        config.study,
        {"", *(study for entry in there if (study := _study(entry)))} if there else {config.study},
    )
    found = [entry for entry in there if config.state in ("", entry.state) and config.study in ("", _study(entry))]
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("run", "world", "arm", "seed", "state", "first", "last", "AUC", "s"):
        table.add_column(column, justify="left" if column in ("run", "world", "arm", "state") else "right")
    for entry in found[: config.limit]:
        table.add_row(*_cells(entry))
    Console(width=None if len(found) == 0 else 120).print(table)
    print(f"{len(found)} runs" + (f", {config.limit} shown" if len(found) > config.limit else ""))
    named = sorted(path.parent.name for path in config.runs.glob("*/runs.csv"))
    if named:
        print(f"with tables: {', '.join(named)}")
    return 0


def _study(entry: RunFolder | Unknown) -> str | None:
    """The study that a finished run says it is of."""
    return entry.row.get("study") if isinstance(entry, RunFolder) and entry.row else None


def _cells(entry: RunFolder | Unknown) -> tuple[str, ...]:
    """A run's line in the table."""
    if isinstance(entry, Unknown):
        return entry.run_dir.name, "", "", "", entry.state
    known = (entry.run_dir.name, entry.spec.world, entry.spec.arm, str(entry.spec.seed), entry.state)
    row = entry.row
    if row is None:
        return known
    return (
        *known,
        *(f"{row[name]:.3f}" if name in row else "" for name in ("first", "last", "auc")),
        f"{row['seconds']:.0f}",
    )
