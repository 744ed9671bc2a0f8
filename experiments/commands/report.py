"""`vapo report`: rebuild the HTML report of studies, ablations and sweeps from their tables."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from experiments.specs.options import parse
from vapo_core.settings import Frozen

ABLATION, SWEEP = "runs.csv", "recommendation.csv"
"""Tables that make a folder one of an ablation, or of a sweep; a sweep's is its last."""


class ReportConfig(Frozen):
    """Build one HTML report of studies, ablations and sweeps."""

    runs: Path = Field(
        Path("runs"), description="folder of quick studies, ablations and sweeps; all are shown when none is named"
    )
    results: Path = Field(Path("results"), description="folder of full studies")
    folders: tuple[Path, ...] = Field((), description="folders of ablations and sweeps to show instead of the studies")
    out: Path = Field(Path("runs/report.html"), description="HTML file to write")


def run(words: Sequence[str]) -> int:
    """Parse, write the page of what can be read, say where it is and what was left out."""
    config = parse(ReportConfig, ReportConfig(), words, "report")
    if config.out.is_dir():
        raise IsADirectoryError(f"out = {config.out}: is a folder, allowed is a file")
    from analysis.report.report import write_report
    from analysis.report.study_page import studies
    from analysis.report.sweep_page import sections
    from experiments.studies import STEMS, find

    folders = config.folders or _finished(config.runs)
    sweeps = [folder for folder in folders if (folder / SWEEP).is_file()]
    ablations = [folder for folder in folders if folder not in sweeps]
    declared = {} if config.folders else {stem: find(stem).QUESTIONS for stem in STEMS}
    objections: list[str] = []
    found = studies(declared, config.results, config.runs, objections)
    if not folders and found is None and not objections:
        raise FileNotFoundError(
            f"no ablation or sweep in {config.runs} and no study in {config.results} or {config.runs}; run `vapo ablate`"
            " first, or `vapo study all`"
        )
    named = [(folder.name, folder) for folder in ablations]
    page = write_report(named, config.out, found, sections(sweeps, objections), objections)
    for line in objections:
        print(f"warning: {line}; left out", file=sys.stderr)
    print(f"report: {page}")
    return 1 if objections else 0


def _finished(runs: Path) -> tuple[Path, ...]:
    """Folders of ablations, the one with the largest table first, then of sweeps."""
    tables = sorted(runs.glob(f"ablate-*/{ABLATION}"), key=lambda path: -path.stat().st_size)
    return tuple(path.parent for path in (*tables, *sorted(runs.glob(f"sweep-*/{SWEEP}"))))
