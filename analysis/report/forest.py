"""The sixteen verdicts in one picture: every estimate in units of its own threshold."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from analysis.hypotheses.study_text import topic_of
from analysis.plots.drawing import GREY, INK, Drawing, canvas
from analysis.verdict.decision_style import LEVEL_NAMES, replicates, style_of
from analysis.verdict.decisions import Verdict
from analysis.verdict.questions import Question

LIMIT = 4.0
"""Thresholds shown to either side; an interval that extends beyond ends in an arrow."""

HOLDS = "#dcebf7"
"""Behind the estimates for which the prediction would hold."""


class Answer(NamedTuple):
    """A question and its primary verdict, if there is one."""

    stem: str
    question: Question
    verdict: Verdict | None

    @property
    def full(self) -> bool:
        """Whether the verdict comes from runs of preset full."""
        return self.verdict is not None and self.verdict.preset == "full"

    @property
    def decision(self) -> str:
        """The decision in words, and where only quick runs stand behind it, that."""
        word = style_of(self.verdict.decision if self.verdict else None, self.question.equivalence).word
        return word if self.verdict is None or self.full else f"{word} ({self.verdict.preset} only)"


def relative(verdict: Verdict) -> tuple[float, float, float]:
    """Estimate, low and high in units of the threshold."""
    effect, low, high = (x / verdict.threshold for x in (verdict.effect, verdict.low, verdict.high))
    return effect, low, high


def forest(answers: Sequence[Answer], narrow: bool = False) -> Drawing:
    """Every question on a line: estimate and corrected interval over threshold, decision by marker, colour and word.

    Shaded is where an interval has to lie for the prediction to hold: beyond 1, for a predicted equivalence between -1 and 1.
    Hollow markers and dashed intervals are of quick runs. The narrow form, for a telephone, leaves topics and seeds out.
    """
    with canvas(3.7 if narrow else 6.4, (0.25 if narrow else 0.3) * len(answers) + 1.0) as figure:
        axes = figure.subplots()
        for at, answer in enumerate(answers):
            _shade(axes, at, answer.question.equivalence)
            if answer.verdict is not None:
                _line(axes, at, answer)
        for x in (-1, 0, 1):
            axes.axvline(x, color=INK, linewidth=1.0 if x == 0 else 0.7, linestyle="-" if x == 0 else (0, (4, 2)))
        _frame(axes, answers, narrow)
    return Drawing(figure, _numbers(answers), _alt(answers))


def _shade(axes: Axes, at: int, equivalence: bool) -> None:
    left, right = (-1, 1) if equivalence else (1, LIMIT)
    axes.fill_between([left, right], at - 0.42, at + 0.42, color=HOLDS, linewidth=0, zorder=0)


def _line(axes: Axes, at: int, answer: Answer) -> None:
    assert answer.verdict is not None
    effect, low, high = relative(answer.verdict)
    style = style_of(answer.verdict.decision, answer.question.equivalence)
    if not math.isnan(low):
        ends = [max(low, -LIMIT), min(high, LIMIT)]
        axes.plot(ends, [at, at], color=style.colour, linewidth=1.6, linestyle="-" if answer.full else (0, (2, 1.2)))
        for beyond, x, mark in ((low < -LIMIT, -LIMIT, "<"), (high > LIMIT, LIMIT, ">")):
            if beyond:
                axes.plot([x], [at], mark, color=style.colour, markersize=4, clip_on=False)
    if not math.isnan(effect):
        if abs(effect) > LIMIT:  # the marker stays on the picture, with its number beside it
            axes.annotate(
                f"{effect:.1f}", (math.copysign(LIMIT - 0.2, effect), at), fontsize=7.5, va="center",
                color=style.colour, ha="right" if effect > 0 else "left",
            )  # fmt: skip
        axes.plot(
            [min(max(effect, -LIMIT), LIMIT)], [at], style.marker or "o", color=style.colour, markersize=6.5, clip_on=False,
            markerfacecolor=style.colour if answer.full else "white", markeredgewidth=1.4, zorder=3,
        )  # fmt: skip


def _frame(axes: Axes, answers: Sequence[Answer], narrow: bool) -> None:
    """Question on the left, decision and what stands behind it on the right, a rule between studies."""
    places = range(len(answers))
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(len(answers) - 0.5, -0.5))
    axes.set_xlabel("estimate / threshold" + ("" if narrow else "; interval at 1 − 0.05/16"), fontsize=9)
    topics = ["" if narrow else "  " + topic_of(a.stem, a.question.id) for a in answers]
    axes.set_yticks(places, [a.question.id + topic for a, topic in zip(answers, topics, strict=True)])
    right = axes.secondary_yaxis("right")
    right.set_yticks(places, [a.decision + ("" if narrow else _behind(a)) for a in answers])
    for label, answer in zip(right.get_yticklabels(), answers, strict=True):
        label.set(
            color=style_of(answer.verdict.decision if answer.verdict else None).colour, fontsize=7.5, linespacing=1.05
        )
    for side in (axes, right):
        side.tick_params(axis="y", length=0, pad=7)
    right.spines["right"].set_visible(False)
    for at in places[1:]:
        if answers[at].stem != answers[at - 1].stem:
            axes.axhline(at - 0.5, color=GREY, linewidth=0.5)


def _behind(answer: Answer) -> str:
    """A second line on the right: what stands behind the decision."""
    if answer.verdict is None:
        return ""
    return f"\n{answer.verdict.preset}: {LEVEL_NAMES[answer.verdict.level]}, {answer.verdict.seeds} {replicates(answer.verdict)}"


def _numbers(answers: Sequence[Answer]) -> pd.DataFrame:
    rows = []
    for answer in answers:
        row, question = answer.verdict, answer.question
        shown = relative(row) if row else (math.nan,) * 3
        rows.append(
            (question.id, row.level if row else question.primary, row.preset if row else "", row.seeds if row else 0,
             *((row.effect, row.low, row.high) if row else (math.nan,) * 3), question.unit, question.threshold, *shown,
             question.equivalence, answer.decision)
        )  # fmt: skip
    names = ["question", "level", "preset", "seeds", "effect", "low", "high", "unit", "threshold", "effect_over_threshold",
             "low_over_threshold", "high_over_threshold", "predicts_equivalence", "decision"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def _alt(answers: Sequence[Answer]) -> str:
    listed = "; ".join(f"{answer.question.id} {answer.decision}" for answer in answers)
    return f"Forest plot of {len(answers)} verdicts, estimate and interval in units of the threshold: {listed}."
