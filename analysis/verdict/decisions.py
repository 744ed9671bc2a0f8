"""From an interval to a verdict, mechanically (METHODS.md, section 1)."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.detectable import smallest_detectable
from analysis.statistics.intervals import Interval, student
from analysis.verdict.questions import Level, Question

Decision = Literal["supported", "refuted_opposite", "refuted_negligible", "conditional", "undecided", "not_tested"]

QUESTIONS_ASKED = 16
CORRECTED = 1 - 0.05 / QUESTIONS_ASKED
"""Level of the interval of a primary estimand (Bonferroni, so that the interval shown agrees with the decision)."""


NOTE = "note"
"""Key of a row's strata under which a remark stands: why it decides nothing, what it leaves out, what a stratum says."""

CONTRADICTED = "PREDICTION CONTRADICTED"
"""In a secondary row's note: what was predicted of that row does not hold, though no verdict is about it."""

ROUNDING = 1e-9
"""Width of an interval, in units of the threshold, that equal replicates may have from arithmetic alone."""


class Verdict(NamedTuple):
    """One estimate of one question at one level; effect, low, high, threshold, smallest_detectable in `unit`."""

    question: str
    level: Level
    effect: float
    """theta, signed so that the prediction is positive; nan without data."""
    unit: str
    low: float
    high: float
    """Bounds at 1 - 0.05/16 if primary, else at 95 %; nan below two replicates."""
    threshold: float
    seeds: int
    """Independent replicates; instances at the exact level."""
    decision: Decision | None
    """None on secondary rows."""
    primary: bool
    preset: str
    smallest_detectable: float
    """Smallest true theta that would be called supported in 80 % of studies of this size and spread."""
    strata: dict[str, Any]
    """Estimates of parts declared in advance, each {effect, low, high, decision}; under `NOTE` a sentence, if there is need."""
    estimand: str
    """What this row estimates, in one line."""
    mean_length: float = math.nan
    """Mean response length in tokens of the runs it comes from; nan where it is not known."""
    mean_decisions: float = math.nan
    """Mean decisions of a response, on the walk: its tokens without filler."""
    activity: float = math.nan
    """Of a primary row: how much there was to do, in the unit of the question's floor; nan where it is not known."""


def decide(interval: Interval, threshold: float, equivalence: bool = False, tested: bool = True) -> Decision:
    """The decision rule.

    Args:
        interval: of theta, signed so that the prediction is positive, at the level after correction.
        threshold: delta > 0.
        equivalence: the prediction is that theta lies within (-delta, delta).
        tested: False if the activity is below its floor.

    Returns:
        supported: above delta (for an equivalence: inside (-delta, delta)); refuted_negligible: inside (-delta, delta);
        refuted_opposite: below -delta (for an equivalence: beyond either); not_tested; else undecided, as where the
        interval has no bounds or, replicates being all alike, no width: what does not vary says nothing of how it varies.
    """
    if not tested:
        return "not_tested"
    _, low, high = interval
    if without_width(interval, threshold):
        return "undecided"
    inside, above, below = -threshold < low and high < threshold, low > threshold, high < -threshold
    if equivalence:
        return "supported" if inside else "refuted_opposite" if above or below else "undecided"
    if above:
        return "supported"
    if below:
        return "refuted_opposite"
    return "refuted_negligible" if inside else "undecided"


def without_width(interval: Interval, threshold: float) -> bool:
    """Whether both bounds are the same number, to rounding."""
    return bool(interval.high - interval.low <= ROUNDING * max(threshold, abs(interval.estimate)))


def verdict(
    question: Question, level: Level, theta: ArrayLike, preset: str, tested: bool = True, estimand: str = ""
) -> Verdict:
    """The verdict from one theta per independent replicate, by Student's interval.

    Args:
        question: as declared.
        level: whose rows these are; the question's primary level gets the corrected interval and a decision.
        theta: [S], none missing.
        preset: of the runs.
        tested: False if the activity is below its floor.
        estimand: what this row estimates, the question's own if not given; a row that estimates something else is
            secondary at any level.
    """
    values = np.asarray(theta, float)
    primary = level == question.primary and not estimand
    return from_interval(
        question, level, student(values, CORRECTED if primary else 0.95), len(values), preset,
        smallest_detectable(values, question.threshold, CORRECTED if primary else 0.95), primary, tested, estimand,
    )  # fmt: skip


def from_interval(
    question: Question, level: Level, interval: Interval, seeds: int, preset: str, detectable: float, primary: bool,
    tested: bool = True, estimand: str = "", strata: dict[str, Any] | None = None,
) -> Verdict:  # fmt: skip
    """The verdict from an interval found in another way than `verdict` does."""
    decision = decide(interval, question.threshold, question.equivalence, tested) if primary else None
    if primary and without_width(interval, question.threshold):  # as where every seed sits at score 0, or 1
        detectable, strata = (
            float("nan"),
            {**(strata or {}), NOTE: f"all {seeds} replicates are equal, so there is no spread to judge by"},
        )
    return Verdict(
        question.id, level, interval.estimate, question.unit, interval.low, interval.high, question.threshold, seeds,
        decision, primary, preset, detectable, strata or {}, estimand or question.estimand,
    )  # fmt: skip
