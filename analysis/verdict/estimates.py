"""Verdicts from intervals that come with their level: leave-one-seed-out, profile, censored times."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics.detectable import noncentrality
from analysis.statistics.intervals import Interval, NoEstimate
from analysis.verdict.decisions import CORRECTED, NOTE, Verdict, from_interval, verdict
from analysis.verdict.questions import Level, Question


@dataclass(frozen=True)
class Estimand:
    """What a secondary row estimates in place of the question's estimand."""

    text: str
    """In one line."""
    unit: str = ""
    """The question's own if empty."""
    threshold: float = 0.0
    """The question's own if 0."""
    equivalence: bool = False

    def of(self, question: Question) -> Question:
        """The question with this estimand's unit and threshold."""
        unit, threshold = self.unit or question.unit, self.threshold or question.threshold
        return question._replace(unit=unit, threshold=threshold, equivalence=self.equivalence)


def secondary_row(
    question: Question, level: Level, theta: ArrayLike, preset: str, estimand: Estimand | str
) -> list[Verdict]:
    """A row that decides nothing, from one theta per independent replicate; none without replicates.

    Args:
        question: as declared.
        level: whose rows these are.
        theta: [S], none missing.
        preset: of the runs.
        estimand: what is estimated; a text alone takes the question's unit and threshold.
    """
    if not np.size(theta):
        return []
    asked = Estimand(estimand) if isinstance(estimand, str) else estimand
    return [verdict(asked.of(question), level, theta, preset, estimand=asked.text)]


def by_interval(
    question: Question, level: Level, interval_at: Callable[[float], Interval], seeds: int, preset: str,
    tested: bool = True, estimand: Estimand | None = None,
) -> Verdict:  # fmt: skip
    """The verdict from a way to an interval.

    Args:
        question: as declared.
        level: whose rows these are.
        interval_at: level in (0, 1) -> interval, of Student's kind over `seeds`; where it raises NoEstimate the row has no
            number, and its note says why.
        seeds: independent replicates.
        preset: of the runs.
        tested: False if the activity is below its floor.
        estimand: what a secondary row estimates; the row is then secondary at any level.
    """
    primary = level == question.primary and estimand is None
    asked = estimand.of(question) if estimand else question
    wide = CORRECTED if primary else 0.95
    try:
        interval, strata = interval_at(wide), {}
    except NoEstimate as error:
        interval, strata = Interval(np.nan, np.nan, np.nan), {NOTE: f"no estimate: {error}"}
    return from_interval(
        asked, level, interval, seeds, preset, _detectable(interval, seeds, asked.threshold, wide), primary, tested,
        estimand.text if estimand else "", strata,
    )  # fmt: skip


def _detectable(interval: Interval, seeds: int, threshold: float, level: float) -> float:
    """As `detectable.smallest_detectable`, from the interval's width; nan where it has no bounds."""
    if seeds < 2 or not np.isfinite([interval.low, interval.high]).all():
        return float("nan")
    error = (interval.high - interval.low) / 2 / stats.t.ppf((1 + level) / 2, seeds - 1)
    return float(threshold + noncentrality(seeds, level, 0.8) * error)
