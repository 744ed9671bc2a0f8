"""The component table: the effect of each component, beside the VAPO paper's Table 1."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.tables import paper
from analysis.tables.schema import COMPONENTS
from analysis.tables.terminal import NONE, number
from analysis.verdict import lengths
from analysis.verdict.decision_style import LEVEL_NAMES, replicates
from analysis.verdict.decisions import Verdict
from analysis.verdict.headline import digits, estimate
from analysis.verdict.outcomes import Outcome
from analysis.verdict.questions import Level

LEVELS: tuple[Level, ...] = ("walk", "tiny_lm")


class ComponentCell(NamedTuple):
    """One component at one level of evidence."""

    estimate: str
    preset: str
    """"" without a row."""
    seeds: str
    detectable: str
    activity: str
    """How much the component had to do, in the unit of its floor."""
    idle: bool
    """Whether the activity is below its floor, so that the estimate says nothing."""
    length: str
    """Mean response of its runs."""


class ComponentRow(NamedTuple):
    """One component."""

    component: str
    cells: list[ComponentCell]
    """As `LEVELS`."""
    paper: str
    """Points lost without it."""


def component_rows(found: Sequence[Outcome]) -> list[ComponentRow]:
    """All seven, whether there are rows or not; none if the component study was not run."""
    if not found:
        return []
    rows = {(row.question, row.level): row for outcome in found for row in outcome.verdicts if _main(outcome, row)}
    return [
        ComponentRow(
            name,
            [_cell(rows.get((name, level))) for level in LEVELS],
            number(-paper.difference(f"vapo without {name}"), 0, sign=True),
        )
        for name in COMPONENTS
    ]


def heads() -> list[str]:
    """Names of the levels shown."""
    return [LEVEL_NAMES[level] for level in LEVELS]


def _main(outcome: Outcome, row: Verdict) -> bool:
    """Whether a row estimates what its question asks for, at whatever level."""
    return row.question in outcome.questions and row.estimand == outcome.questions[row.question].estimand


def _cell(row: Verdict | None) -> ComponentCell:
    if row is None:
        return ComponentCell(NONE, "", NONE, NONE, NONE, False, NONE)
    activity = row.strata.get("activity", {}).get("effect")
    return ComponentCell(
        estimate(row), row.preset, f"{row.seeds} {replicates(row)}", digits(row.smallest_detectable, row.threshold),
        number(float("nan") if activity is None else activity), row.decision == "not_tested",
        lengths.shown(row),
    )  # fmt: skip
