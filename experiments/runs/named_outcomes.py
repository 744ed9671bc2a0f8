"""Ablations and studies by the name of their folder in runs/ or results/, at present or as of an earlier commit."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.ablations.joined import Ablation
from analysis.tables.schema import CURVE_COLUMNS, Tables, check, load
from analysis.verdict.outcomes import Outcome, read
from experiments.runs.committed import load_whole
from experiments.runs.repair import read_object
from experiments.runs.source import SUPERSEDED
from vapo_core.reading import reading
from vapo_core.suggest import nearest


def names(runs: Path, results: Path) -> list[str]:
    """Every folder of tables in the two, in alphabetical order."""
    return sorted({path.parent.name for place in (runs, results) for path in place.glob("*/runs.csv")})


def outcome_folder(name: str, runs: Path, results: Path) -> Path | None:
    """The folder of that name in runs or results, or at that path; None if no such folder holds a table of runs."""
    places = (Path(name), runs / name, results / name) if name else ()
    return next((place for place in places if (place / "runs.csv").is_file()), None)


def named_folder(name: str, runs: Path, results: Path) -> Path:
    """As `outcome_folder`.

    Raises:
        ValueError: if there is none; the message names those that there are.
    """
    folder = outcome_folder(name, runs, results)
    if folder is None:
        raise ValueError(f"no ablation or study {name!r} in {runs} or {results}{nearest(name, names(runs, results))}")
    return folder


def study_outcome(folder: Path) -> Outcome | None:
    """What a study's folder says; None for a folder of another kind."""
    return read(folder) if (folder / "verdicts.json").is_file() and (folder / "study.json").is_file() else None


def ablation(name: str, runs: Path, results: Path) -> Ablation:
    """The runs of an ablation, or of its earlier state NAME@COMMIT: rows that code of that commit computed.

    Raises:
        ValueError: if there is no such ablation, or no run of it at that commit.
    """
    if outcome_folder(name, runs, results) is None and "@" in name:
        plain, _, commit = name.rpartition("@")
        folder = named_folder(plain, runs, results)
        return _ablation(name, folder, _at_commit(plain, load(folder, probes=()).runs, commit, folder.parent))
    folder = named_folder(name, runs, results)
    return _ablation(name, folder, load_whole(folder).runs)


def _ablation(name: str, folder: Path, runs: pd.DataFrame) -> Ablation:
    if not len(runs):
        raise ValueError(f"{folder}: no runs in its table")
    return Ablation(name, runs, _planned(folder / "config.json"))


def _planned(path: Path) -> int:
    """Seeds per arm in an ablation's configuration, 0 if it has none."""
    if not path.is_file():
        return 0
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
    seeds = content.get("seeds") if isinstance(content, dict) else None
    return seeds if isinstance(seeds, int) and seeds > 0 else 0


def _at_commit(name: str, now: pd.DataFrame, commit: str, records: Path) -> pd.DataFrame:
    """The same runs as a commit computed them: the records' own rows, and those that were set aside."""
    labels = dict(zip(now["spec"], now["arm"], strict=True))
    rows = [row for spec in labels for row in _every_row(records / spec)]
    found = {str(row["git_commit"]) for row in rows}
    fits = {other for other in found if commit and other.startswith(commit)}
    chosen = {commit} & found or fits
    if len(chosen) != 1:
        what = "no run" if not chosen else f"{len(chosen)} commits"
        raise ValueError(f"{what} of {name} at commit {commit!r} (there are: {', '.join(sorted(found)) or 'none'})")
    latest = {row["spec"]: row for row in rows if row["git_commit"] in chosen}
    table = pd.DataFrame([{**row, "arm": labels[spec]} for spec, row in latest.items()])
    return check(Tables(table, pd.DataFrame(columns=list(CURVE_COLUMNS)))).runs


def _every_row(run_dir: Path) -> Iterable[dict[str, Any]]:
    """Rows that were set aside, in their order, then the present one."""
    aside = [path for path in (run_dir / SUPERSEDED).glob("*") if path.name.isdigit()]
    places = [*sorted(aside, key=lambda path: int(path.name)), run_dir]
    rows = [read_object(place / "row.json") for place in places if (place / "row.json").is_file()]
    return [row for row in rows if row.get("spec") == run_dir.name and row.get("git_commit")]
