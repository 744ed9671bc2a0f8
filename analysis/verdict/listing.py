"""A study's verdicts as a table for a paper."""

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.tables.sheets import Sheet
from analysis.verdict.decision_style import LEVEL_NAMES, replicates, style_of
from analysis.verdict.decisions import Verdict
from analysis.verdict.headline import estimate
from analysis.verdict.questions import Question

COLUMNS: tuple[str, ...] = (
    "question", "estimand", "unit", "level", "preset", "estimate", "low", "high", "threshold", "replicates", "planned",
    "decision",
)  # fmt: skip

HEADS = ("Question", "Level", "Estimate [1 − 0.05/16]", "Unit", "Threshold", "Replicates", "Decision")


def verdict_numbers(rows: Sequence[Verdict], planned: Mapping[str, int]) -> pd.DataFrame:
    """One line per primary verdict, columns `COLUMNS`; `planned` is open where a study plans no number."""
    lines = [
        (row.question, row.estimand, row.unit, row.level, row.preset, row.effect, row.low, row.high, row.threshold,
         row.seeds, planned.get(row.question), row.decision or "")
        for row in rows if row.primary
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype({"planned": "Int64"})


def verdict_sheet(
    rows: Sequence[Verdict], questions: Mapping[str, Question], planned: Mapping[str, int], title: str
) -> Sheet:
    """The same as text."""
    lines = [_line(row, questions.get(row.question), planned.get(row.question)) for row in rows if row.primary]
    caption = (
        f"{title}: primary estimates with intervals at level 1 − 0.05/16, signed so that the prediction is positive. "
        "Replicates: measured, of those planned where the study plans a number."
    )
    return Sheet(HEADS, lines, caption)


def _line(row: Verdict, question: Question | None, planned: int | None) -> tuple[str, ...]:
    measured = f"{row.seeds} of {planned}" if planned else str(row.seeds)
    style = style_of(row.decision, question is not None and question.equivalence)
    return (
        row.question, LEVEL_NAMES[row.level], estimate(row), row.unit, f"{row.threshold:g}",
        f"{measured} {replicates(row)}", style.word,
    )  # fmt: skip
