"""`vapo report`: the page of one or more ablations, from their tables."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.options import parse
from vapo_core.settings import Frozen


class ReportConfig(Frozen):
    """Put the outcome of ablations on one page."""

    runs: Path = Field(Path("runs"), description="folder whose ablations are shown when none is named")
    folders: tuple[Path, ...] = Field((), description="folders with runs.csv and curves.parquet")
    out: Path = Field(Path("runs/report.html"), description="the page")


def run(words: Sequence[str]) -> int:
    """Parse, write the page, say where it is."""
    config = parse(ReportConfig, ReportConfig(), words, "report")
    from analysis.report import write_report

    tables = sorted(config.runs.glob("ablate-*/runs.csv"), key=lambda path: -path.stat().st_size)  # the largest first
    folders = config.folders or tuple(path.parent for path in tables)
    if not folders:
        raise FileNotFoundError(f"no ablation in {config.runs}; run `vapo ablate` first")
    print(f"report: {write_report([(folder.name, folder) for folder in folders], config.out)}")
    return 0
