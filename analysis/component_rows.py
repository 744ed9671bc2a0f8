"""The component table: what full VAPO gains by each component, beside the VAPO paper's one run per row."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis import paper
from analysis.decided import LEVEL_NAMES, replicates
from analysis.decisions import Verdict
from analysis.headline import digits, estimate
from analysis.outcomes import Outcome
from analysis.questions import LEVEL_OF, Level
from analysis.schema import COMPONENTS
from analysis.terminal import NONE, number

LEVELS: tuple[Level, ...] = ("walk", "tiny_lm")


class Cell(NamedTuple):
    """One component at one level of evidence."""

    estimate: str
    preset: str
    """"" without a row."""
    seeds: str
    detectable: str
    activity: str
    """Mean over full VAPO's runs."""
    idle: bool
    """Whether the activity is below its floor, so that the estimate says nothing."""


class ComponentRow(NamedTuple):
    """One component."""

    component: str
    cells: list[Cell]
    """As `LEVELS`."""
    paper: str
    """Points lost without it."""


def component_rows(found: Sequence[Outcome]) -> list[ComponentRow]:
    """All seven, whether there are rows or not; none if the component study was not run."""
    if not found:
        return []
    rows = {
        (row.question, row.level): (outcome, row)
        for outcome in found
        for row in outcome.verdicts
        if _main(outcome, row)
    }
    active = {level: _activity(found, level) for level in LEVELS}
    return [
        ComponentRow(
            name,
            [_cell(rows.get((name, level)), active[level].get(name, float("nan"))) for level in LEVELS],
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


def _cell(found: tuple[Outcome, Verdict] | None, activity: float) -> Cell:
    if found is None:
        return Cell(NONE, "", NONE, NONE, NONE, False)
    row = found[1]
    return Cell(
        estimate(row), row.preset, f"{row.seeds} {replicates(row)}", digits(row.smallest_detectable, row.threshold),
        number(activity), row.decision == "not_tested",
    )  # fmt: skip


def _activity(found: Sequence[Outcome], level: Level) -> dict[str, float]:
    """Component -> mean activity over full VAPO's runs of a level."""
    for outcome in found:
        if level in outcome.levels and (outcome.folder / "runs.csv").is_file():
            runs = pd.read_csv(outcome.folder / "runs.csv", low_memory=False)
            own = runs[(runs["arm"] == "vapo") & (runs["world"].map(LEVEL_OF) == level)]
            return {name: float(own[f"activity_{name}"].mean()) for name in COMPONENTS}
    return {}
