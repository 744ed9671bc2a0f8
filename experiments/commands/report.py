"""`vapo report`: the page of the studies and of one or more ablations, from their tables."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.options import parse
from vapo_core.settings import Frozen


class ReportConfig(Frozen):
    """Put what studies and ablations found on one page."""

    runs: Path = Field(
        Path("runs"), description="folder of quick studies, and of the ablations shown when none is named"
    )
    results: Path = Field(Path("results"), description="folder of full studies")
    folders: tuple[Path, ...] = Field((), description="folders with runs.csv and curves.parquet; no studies then")
    out: Path = Field(Path("runs/report.html"), description="the page")


def run(words: Sequence[str]) -> int:
    """Parse, write the page, say where it is."""
    config = parse(ReportConfig, ReportConfig(), words, "report")
    from analysis.report import write_report
    from analysis.study_page import studies
    from experiments.studies import STEMS, find

    tables = sorted(config.runs.glob("ablate-*/runs.csv"), key=lambda path: -path.stat().st_size)  # the largest first
    folders = config.folders or tuple(path.parent for path in tables)
    declared = {} if config.folders else {stem: find(stem).QUESTIONS for stem in STEMS}
    found = studies(declared, config.results, config.runs)
    if not folders and found is None:
        raise FileNotFoundError(
            f"no ablation in {config.runs} and no study in {config.results} or {config.runs}; run `vapo ablate` first, or"
            " `vapo study all`"
        )
    print(f"report: {write_report([(folder.name, folder) for folder in folders], config.out, found)}")
    return 0
