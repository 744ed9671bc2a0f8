"""Outcome folders of studies: results/ for every level of evidence it holds, quick runs for the rest."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, get_args

from analysis.tables.boundary import left_out, naming
from analysis.tables.schema import Tables, load, stacked
from analysis.verdict import verdicts
from analysis.verdict.decisions import Verdict
from analysis.verdict.questions import Floor, Gate, Level, Question

LEVELS: tuple[Level, ...] = get_args(Level)
"""In the order in which they are listed."""


class Shown(NamedTuple):
    """One figure of a study."""

    name: str
    alt: str
    """What is seen, in words."""
    svg: Path
    csv: Path
    """The numbers it shows."""


class Outcome(NamedTuple):
    """What one folder says of a study, for the levels of evidence that are taken from it."""

    stem: str
    folder: Path
    preset: str
    commit: str
    command: str
    runs: int
    core_hours: float
    machine: str
    questions: dict[str, Question]
    """As declared when it was judged."""
    levels: tuple[Level, ...]
    """That have rows here and were not taken from another folder; `verdicts` has no others."""
    verdicts: list[Verdict]
    figures: list[Shown]


def folders(stem: str, results: Path, runs: Path) -> list[Path]:
    """Where a study's outcome may lie, the full one first; the last has rows of a pretrained checkpoint alone."""
    return [Path(results) / stem, Path(runs) / f"study-{stem}-quick", Path(runs) / f"study-{stem}-real"]


def found(stem: str, results: Path, runs: Path, objections: list[str] | None = None) -> list[Outcome]:
    """A study's outcome, at most one of each of the presets full, quick and real; none if it was not run.

    Every level of evidence comes from one of them: from results/ if that has verdict rows of the level. A figure that both
    have comes from results/.

    Args:
        stem: the study.
        results, runs: where to look.
        objections: takes a line for each folder that cannot be read; the others go on.

    Raises:
        ValueError: if a folder's verdicts or its note cannot be read and there are no objections; the file is named.
    """
    taken: list[Outcome] = []
    for folder in folders(stem, results, runs):
        if not all((folder / name).is_file() for name in ("verdicts.json", "study.json")):
            continue
        one = None
        with left_out(folder, objections):
            one = read(folder)
        if one is None:
            continue
        levels = tuple(level for level in one.levels if not any(level in other.levels for other in taken))
        if not levels:
            continue
        names = {figure.name for other in taken for figure in other.figures}
        taken.append(
            one._replace(
                levels=levels,
                verdicts=[row for row in one.verdicts if row.level in levels],
                figures=[figure for figure in one.figures if figure.name not in names],
            )
        )
    return taken


def read(folder: Path) -> Outcome:
    """All that one folder says."""
    note = _json(folder / "study.json", dict)
    rows = verdicts.read(folder / "verdicts.json")
    with naming(folder / "study.json"):
        return Outcome(
            str(note["stem"]), folder, str(note["preset"]), str(note["commit"]), str(note["command"]), int(note["runs"]),
            float(note["core_hours"]), str(note["machine"]),
            {name: _question(fields) for name, fields in note["questions"].items()},
            tuple(level for level in LEVELS if any(row.level == level for row in rows)), rows, pictures(folder),
        )  # fmt: skip


def pictures(folder: Path) -> list[Shown]:
    """The figures of a folder in their order, those that are whole."""
    figures_dir = folder / "figures"
    if not (figures_dir / "index.json").is_file():
        return []
    with naming(figures_dir / "index.json"):
        listed = [
            Shown(
                str(row["name"]),
                str(row["alt"]),
                figures_dir / f"{row['name']}.svg",
                figures_dir / f"{row['name']}.csv",
            )
            for row in _json(figures_dir / "index.json", list)
        ]
    return [figure for figure in listed if figure.svg.is_file() and figure.csv.is_file()]


def tables(outcome: Outcome, results: Path, specs: Collection[str]) -> Tables:
    """The rows an outcome was judged by: its folder's, and of preset full those that other studies' folders hold for it.

    Args:
        outcome: as found.
        results: the folder whose studies share their rows.
        specs: names (spec hashes) of the runs that the study lists; what other folders hold besides is left there.
    """
    own = load(outcome.folder)
    others = sorted(path.parent for path in Path(results).glob("*/runs.csv")) if outcome.preset == "full" else []
    left, parts = set(specs) - set(own.runs["spec"]), [own]
    for folder in others:
        if folder != outcome.folder and left:
            other = load(folder)
            here = left & set(other.runs["spec"])
            parts.append(Tables(*(table[table["spec"].astype(str).isin(here)] for table in other)))
            left -= here
    return Tables(*(stacked(tables) for tables in zip(*parts, strict=True)))


def _question(fields: dict[str, Any]) -> Question:
    """As declared; a note from before there were gates has none."""
    gate = fields.get("gate")
    made = {"also": tuple(fields["also"]), "floor": Floor(*fields["floor"]), "gate": gate and Gate(*gate)}
    return Question(**{**fields, **made})


def _json(path: Path, kind: type) -> Any:
    with naming(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"not a JSON {kind.__name__}")
    return content
