"""A study for its notebook: verdicts and figures recomputed from the tables."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd

from analysis.hypotheses import real_level, theory
from analysis.plots.drawing import Drawing
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict import outcomes
from analysis.verdict.decision_style import LEVEL_NAMES, style_of
from analysis.verdict.decisions import NOTE, Verdict
from analysis.verdict.headline import component_lines, digits, estimate, headline
from analysis.verdict.outcomes import Outcome
from analysis.verdict.questions import Question

ROOT = "VAPO_ROOT"
"""Environment variable: the folder that holds results/ and runs/, in place of this checkout."""


class DeclaredStudy(Protocol):
    """A file in experiments/studies/."""

    QUESTIONS: dict[str, Question]

    @staticmethod
    def specs(preset: str) -> Sequence[Any]:
        """Its runs; each has a `hash`."""
        ...


class Judge(Protocol):
    """A file in analysis/hypotheses/."""

    __name__: str

    @staticmethod
    def score(tables: Tables, questions: dict[str, Question], preset: str) -> list[Verdict]:
        """Verdicts of the rows there are."""
        ...

    @staticmethod
    def figures(tables: Tables, questions: dict[str, Question]) -> dict[str, Drawing]:
        """Figures of the rows there are."""
        ...


class Words(NamedTuple):
    """Lines of text, shown as they are."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines)


class Listing(NamedTuple):
    """A table that a notebook shows in full, without truncating text."""

    rows: pd.DataFrame
    empty: str
    """The text shown where there are no rows."""

    def __repr__(self) -> str:
        return self.rows.to_string(index=False, max_colwidth=60) if len(self.rows) else self.empty

    def _repr_html_(self) -> str:
        if not len(self.rows):
            return f"<p>{escape(self.empty)}</p>"
        with pd.option_context("display.max_colwidth", None):
            return str(self.rows.to_html(index=False, border=0))


class Gallery(NamedTuple):
    """Figures, shown one below the other."""

    drawings: dict[str, Drawing]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for drawing in self.drawings.values():
            display(drawing)


class Reading(NamedTuple):
    """A study's outcome."""

    headline: Words
    """What the verdicts say of each prediction, contradictions first."""
    questions: Listing
    """As declared before the runs."""
    sources: Listing
    """Which runs each level of evidence rests on."""
    verdicts: Listing
    """Primary rows."""
    secondary: Listing
    figures: Gallery
    scored: list[Verdict]
    """Every row, as the judge gave it."""


def root() -> Path:
    """The folder that holds results/ and runs/: of this checkout, wherever one works, unless `VAPO_ROOT` names another."""
    return Path(os.environ.get(ROOT) or Path(__file__).parents[2])


def read(study: DeclaredStudy, judge: Judge, home: Path | None = None) -> Reading:
    """Score and draw a study anew from its tables: per level of evidence results/, else quick runs.

    Args:
        study: of experiments/studies.
        judge: of analysis/hypotheses, the same name.
        home: the folder that holds results/ and runs/; `root()` if not given.
    """
    folder, stem = home or root(), judge.__name__.rsplit(".", 1)[-1]
    found = outcomes.found(stem, folder / "results", folder / "runs")
    rows: list[Verdict] = []
    drawings: dict[str, Drawing] = {}
    for outcome in found:
        tables = outcomes.tables(outcome, folder / "results", [spec.hash for spec in study.specs(outcome.preset)])
        judging = real_level if outcome.preset == "real" else judge
        scored = judging.score(tables, outcome.questions, outcome.preset)
        rows += [row for row in scored if row.level in outcome.levels]
        charts = {**judging.figures(tables, outcome.questions), **theory.figures(tables)}
        drawings |= {name: drawing for name, drawing in charts.items() if name not in drawings}
    asked = {**study.QUESTIONS, **{name: q for outcome in found for name, q in outcome.questions.items()}}
    nothing = f"Nothing yet. `vapo study {stem} --preset quick` makes some."
    return Reading(
        Words(_lines(rows, asked) if found else (f"NO DATA: no outcome of {stem} in results/ or runs/. {nothing}",)),
        Listing(_declared(asked), nothing), Listing(_sources(found, folder), nothing),
        Listing(_listed(rows, asked, True), nothing), Listing(_listed(rows, asked, False), nothing), Gallery(drawings), rows,
    )  # fmt: skip


def _lines(rows: Sequence[Verdict], questions: Mapping[str, Question]) -> tuple[str, ...]:
    """The headline; components have estimates beside the paper's in place of verdicts."""
    say = component_lines if set(questions) <= set(COMPONENTS) else headline
    return tuple(say(rows, questions))


def _declared(questions: Mapping[str, Question]) -> pd.DataFrame:
    """A column per question while they are few, else a row."""
    rows = pd.DataFrame(
        [
            {"": q.id, "question": q.question, "estimand": q.estimand, "prediction": q.prediction,
             "threshold": f"{q.threshold:g} {q.unit}", "level": LEVEL_NAMES[q.primary],
             "activity floor": f"{q.floor.least:g} ({q.floor.measure})"}
            for q in questions.values()
        ]
    )  # fmt: skip
    return (
        rows if len(rows) > 3 else rows.set_index("").T.rename_axis("", axis=0).rename_axis(None, axis=1).reset_index()
    )


def _sources(found: Sequence[Outcome], base: Path) -> pd.DataFrame:
    """One row per level of evidence; folders as seen from `home`."""
    return pd.DataFrame(
        [
            {"level": LEVEL_NAMES[level], "preset": outcome.preset, "folder": outcome.folder.relative_to(base).as_posix(),
             "runs in it": outcome.runs, "core-hours": outcome.core_hours, "commit": outcome.commit}
            for outcome in found
            for level in outcome.levels
        ]
    )  # fmt: skip


def _listed(rows: Sequence[Verdict], questions: Mapping[str, Question], primary: bool) -> pd.DataFrame:
    """Primary or secondary rows as text."""
    return pd.DataFrame([_row(row, questions.get(row.question)) for row in rows if row.primary == primary])


def _row(row: Verdict, question: Question | None) -> dict[str, str]:
    text = {"question": row.question, "level": LEVEL_NAMES[row.level], "runs": row.preset}
    numbers = {
        "estimate [low, high]": estimate(row), "unit": row.unit, "threshold": f"{row.threshold:g}", "replicates": str(row.seeds),
    }  # fmt: skip
    if not row.primary:
        note = f" ({row.strata[NOTE]})" if NOTE in row.strata else ""
        return {**text, "what": row.estimand + note, **numbers}
    style = style_of(row.decision, question is not None and question.equivalence)
    smallest = digits(row.smallest_detectable, row.threshold)
    return {**text, "decision": f"{style.symbol} {style.word}", **numbers, "smallest detectable": smallest}
