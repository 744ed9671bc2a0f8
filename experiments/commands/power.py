"""`vapo power`: what the studies would decide at their planned sizes, from the spreads of their pilots."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import Field

from experiments.runs.outcome_folder import study_folder
from experiments.specs.options import parse
from experiments.studies import STEMS, find
from vapo_core.files import write_whole
from vapo_core.settings import Frozen


class PowerConfig(Frozen):
    """Chances of each decision at the planned numbers of seeds; run `vapo study all --preset pilot` first."""

    runs: Path = Field(Path("runs"), description="folder of the pilots' outcomes")
    out: Path = Field(Path("results/regimes/power.csv"), description="CSV file to write")


def run(words: Sequence[str]) -> int:
    """A row per question that has a pilot; missing ones are reported."""
    config = parse(PowerConfig, PowerConfig(), words, "power")
    if config.out.is_dir():
        raise IsADirectoryError(f"out = {config.out}: is a folder, allowed is a file")
    rows = [row for stem in STEMS for row in _rows(stem, config.runs)]
    if not rows:
        raise ValueError(f"runs: no pilot's outcome in {config.runs}; run `vapo study all --preset pilot` first")
    write_whole(config.out, pd.DataFrame(rows).to_csv(index=False, float_format="%.4g"))
    for row in rows:
        print(_line(row))
    print(f"written: {config.out}")
    return 0


def _line(row: dict[str, object]) -> str:
    """The most important numbers of a row, as the terminal shows them."""
    chance = row.get("undecided at pilot")
    undecided = f"{chance:.0%}" if isinstance(chance, float) else "unknown"
    return (
        f"{row['question']}: pilot {row['pilot']:.3g} {row['unit']}, spread {row['spread']:.3g};"
        f" {row['planned_replicates']} replicates leave {undecided} undecided at that effect"
    )


def _rows(stem: str, runs: Path) -> list[dict[str, object]]:
    from analysis.verdict.power import table_row
    from analysis.verdict.verdicts import read

    path, study = study_folder(stem, "pilot", runs, Path()) / "verdicts.json", find(stem)
    planned = getattr(study, "REPLICATES", {})
    found = [row for row in read(path) if row.primary and row.question in planned] if path.is_file() else []
    return [
        dict(table_row(row, planned[row.question], asked.equivalence, asked.floor.least))
        for row in found
        for asked in [study.QUESTIONS[row.question]]
    ]
