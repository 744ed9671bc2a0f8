"""What a sweep publishes: tables, the report, and a recommendation on the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from analysis.report.sweep_page import write_page
from analysis.sweeps.sweep import load_sweep, recommendations
from analysis.sweeps.text import sentences, trials_table
from experiments.services.store import Place, store_of
from experiments.sweeps.trials import Search, importance_table, space_table, trial_table
from vapo_core.files import write_whole


def publish(studies: Sequence[Search], place: Place, runs: Path, out: Path) -> None:
    """Tables, figures, the report, and a recommendation on the terminal."""
    retry_with_backoff = store_of(place).retry_with_backoff
    write_whole(out / "sweep.csv", retry_with_backoff(lambda: trial_table(studies, place, runs)).to_csv(index=False))
    write_whole(out / "space.csv", space_table(studies).to_csv(index=False))
    write_whole(
        out / "importances.csv", retry_with_backoff(lambda: importance_table(studies, place)).to_csv(index=False)
    )
    tables = load_sweep(out)
    found = recommendations(tables)
    write_whole(out / "recommendation.csv", found.to_csv(index=False))
    page = write_page(tables, out)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in trials_table(tables):
        console.print(table)
    for line in sentences(tables, found):
        print(line)
    print(f"report: {page}")
