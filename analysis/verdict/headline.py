"""A study's primary verdicts on its predictions, one line each, contradictions first."""

import math
from collections.abc import Mapping, Sequence

from analysis.tables import paper
from analysis.tables.terminal import NONE
from analysis.verdict.decision_style import LEVEL_NAMES, replicates, style_of
from analysis.verdict.decisions import CONTRADICTED, NOTE, Decision, Verdict
from analysis.verdict.questions import Question

CONTRADICTS: tuple[Decision, ...] = ("refuted_opposite", "refuted_negligible")

ORDER: tuple[Decision | None, ...] = (*CONTRADICTS, "conditional", "supported", "undecided", "not_tested", None)

MEANS: dict[Decision | None, str] = {
    "refuted_opposite": "the data contradict the prediction: the effect has the opposite sign",
    "refuted_negligible": "the data contradict the prediction: the effect is smaller than the threshold",
    "conditional": "opposite signs in two strata, or on two scales, declared in advance",
    "supported": "the data agree with the prediction",
    "undecided": "the data are inconclusive",
    "not_tested": "these runs could not have shown an effect: the mechanism was not active, or did not move the outcome",
    None: "no verdict yet",
}

DIFFERENCE = "the data contradict the prediction: there is a difference where none was expected"


def headline(verdicts: Sequence[Verdict], questions: Mapping[str, Question]) -> list[str]:
    """One line per question, those whose data contradict the prediction first: PREDICTION CONTRADICTED, in capitals.

    After these come secondary rows of which something else was predicted, as their note says.

    Args:
        verdicts: of a study, primary and secondary rows.
        questions: of the study, as declared.
    """
    primary = {row.question: row for row in verdicts if row.primary}
    decided: dict[str, Decision | None] = {
        name: primary[name].decision if name in primary else None for name in questions
    }
    names = sorted(questions, key=lambda name: ORDER.index(decided[name]))
    first = [name for name in names if decided[name] in CONTRADICTS]
    lines = [_line(questions[name], primary.get(name)) for name in names]
    return [*lines[: len(first)], *beside(verdicts), *lines[len(first) :]]


def beside(verdicts: Sequence[Verdict]) -> list[str]:
    """A line per secondary row that says that what was predicted of it does not hold."""
    return [
        f"Also for {row.question}, {row.estimand}: {estimate(row)} {row.unit}; {row.strata[NOTE]}."
        for row in verdicts
        if not row.primary and CONTRADICTED in row.strata.get(NOTE, "")
    ]


def _line(question: Question, row: Verdict | None) -> str:
    if row is None:
        return f"{question.id}: {MEANS[None]}."
    word = style_of(row.decision, question.equivalence).word
    means = DIFFERENCE if question.equivalence and row.decision == "refuted_opposite" else MEANS[row.decision]
    start = f"{CONTRADICTED}, {question.id}" if row.decision in CONTRADICTS else question.id
    note = f" Note: {row.strata[NOTE]}." if NOTE in row.strata else ""
    return (
        f"{start}: {word}; {means} ({LEVEL_NAMES[row.level]}, preset {row.preset}, {row.seeds} {replicates(row)}: "
        f"{estimate(row)} {row.unit}, threshold {row.threshold:g}).{note}"
    )


def estimate(row: Verdict) -> str:
    """`0.12 [0.05, 0.19]` with as many digits as the threshold calls for."""
    effect, low, high = (digits(x, row.threshold) for x in (row.effect, row.low, row.high))
    return effect if low == NONE else f"{effect} [{low}, {high}]"


def digits(x: float, threshold: float) -> str:
    """A number to about a thirtieth of its threshold; `NONE` for nan."""
    if not math.isfinite(x):
        return NONE
    places = max(0, 1 - math.floor(math.log10(threshold))) if threshold > 0 else 3
    return f"{x:.{places}f}"


def component_lines(rows: Sequence[Verdict], questions: Mapping[str, Question]) -> list[str]:
    """One line per component and level: what it is worth, and whether that has the sign of the paper's row.

    Signs opposite to the paper's come first, in capitals: the 95 % interval lies below 0, where the paper lost points
    without the component. These are no verdicts.
    """
    main = [row for row in rows if row.question in questions and row.estimand == questions[row.question].estimand]
    return [_component(row) for row in sorted(main, key=lambda row: not _opposite(row))]


def _opposite(row: Verdict) -> bool:
    return row.decision != "not_tested" and row.high < 0


def _component(row: Verdict) -> str:
    lost = -paper.difference(f"vapo without {row.question}")
    found = f"{estimate(row)} {row.unit} ({LEVEL_NAMES[row.level]}, preset {row.preset}, {row.seeds} {replicates(row)})"
    if row.decision == "not_tested":
        return f"{row.question}: had too little to do here to be tested; {found}."
    start = "SIGN OPPOSITE TO THE PAPER'S, " if _opposite(row) else ""
    return f"{start}{row.question}: worth {found}; the paper lost {lost:.0f} points without it."
