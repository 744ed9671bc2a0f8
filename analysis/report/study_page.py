"""Contents of the report's section on studies, as text and figures; the layout is in templates/."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from analysis.hypotheses.components.rows import ComponentRow, component_rows
from analysis.hypotheses.study_text import StudyText, text_of
from analysis.report.embedding import Picture, of_drawing, of_files
from analysis.report.forest import Answer, forest
from analysis.tables.boundary import left_out
from analysis.tables.terminal import NONE
from analysis.verdict import lengths, outcomes
from analysis.verdict.decision_style import LEVEL_NAMES, replicates, style_of
from analysis.verdict.decisions import NOTE, Verdict
from analysis.verdict.headline import digits, estimate
from analysis.verdict.outcomes import Outcome
from analysis.verdict.questions import Question

Declared = Mapping[str, Mapping[str, Question]]
"""Stem -> id -> question, of every study there is."""

FOREST = (
    "Estimates in units of their own threshold, with intervals at 1 − 0.05/16. Shaded: where an interval must lie for the "
    "prediction to hold, beyond 1, or between −1 and 1 where no difference is predicted. Filled markers and solid lines are of "
    "preset full; hollow markers and dashed lines are of quick runs and decide nothing. An arrow "
    "marks an interval that extends beyond the axis."
)


class Line(NamedTuple):
    """One verdict row as text."""

    question: str
    estimand: str
    estimate: str
    unit: str
    threshold: str
    seeds: str
    level: str
    preset: str
    detectable: str
    css: str
    """Class of the decision."""
    symbol: str
    decision: str
    remark: str
    length: str
    """Mean response of the runs it comes from."""


class QuestionEntry(NamedTuple):
    """A question with its primary verdict."""

    id: str
    question: Question
    stem: str
    line: Line
    levels: str
    """Where it is decided, and where it is shown besides."""
    strata: dict[str, str]
    """Parts declared in advance."""


class EvidenceSource(NamedTuple):
    """Where the rows of some levels come from."""

    study: str
    preset: str
    levels: str
    runs: str
    core_hours: str
    command: str
    commit: str
    machine: str


class Chapter(NamedTuple):
    """One study."""

    stem: str
    text: StudyText
    entries: list[QuestionEntry]
    secondary: list[Line]
    pictures: list[Picture]
    sources: list[EvidenceSource]


class Studies(NamedTuple):
    """All there is to say of studies."""

    summary: str
    warning: str
    """How much of it rests on quick runs alone; "" if nothing does."""
    picture: Picture
    narrow: Picture
    """The same for a telephone."""
    entries: list[QuestionEntry]
    components: list[ComponentRow]
    component_chapter: Chapter | None
    chapters: list[Chapter]
    maps: list[Picture]
    theory: list[Picture]
    sources: list[EvidenceSource]


def studies(declared: Declared, results: Path, runs: Path, objections: list[str] | None = None) -> Studies | None:
    """What studies found, every declared question on its line whether it was run or not; None if no study was.

    Args:
        declared: the questions.
        results, runs: folders of outcomes.
        objections: takes a line for each outcome that cannot be read; the others go on.

    Raises:
        ValueError: if an outcome folder is broken and there are no objections.
    """
    found = {stem: outcomes.found(stem, results, runs, objections) for stem in declared}
    theory: list[Picture] = []
    with left_out(Path(results) / "theory", objections):
        theory = [of_files(figure, figure.alt) for figure in outcomes.pictures(Path(results) / "theory")]
    if not any(found.values()) and not theory:
        return None
    chapters = {stem: _chapter(stem, declared[stem], found[stem]) for stem in declared}
    asked = {stem: chapter for stem, chapter in chapters.items() if stem != "components"}
    answers = [answer for stem in asked for answer in answers_of(stem, declared[stem], found[stem])]
    own = {stem: _own_pictures(chapter) for stem, chapter in chapters.items()}
    every = [picture for chapter in chapters.values() for picture in chapter.pictures]
    return Studies(
        _summary(answers), _warning(answers), of_drawing(forest(answers), "verdicts", FOREST),
        of_drawing(forest(answers, narrow=True), "verdicts", FOREST),
        [entry for chapter in asked.values() for entry in chapter.entries],
        component_rows(found.get("components", [])), own.pop("components", None),
        list(own.values()),
        [picture for picture in every if is_map(picture.name)],
        _in_order([*theory, *(picture for picture in every if is_theory(picture.name))]),
        [source for chapter in chapters.values() for source in chapter.sources],
    )  # fmt: skip


def is_map(name: str) -> bool:
    """Whether a figure is a failure-boundary map: map_..., ..._map."""
    return "map" in name.split("_")


def is_theory(name: str) -> bool:
    """Whether a figure is of closed forms: theory_..."""
    return name.startswith("theory")


def _in_order(pictures: Sequence[Picture]) -> list[Picture]:
    """R1 before R10, each once."""
    once = {picture.name: picture for picture in reversed(pictures)}
    return sorted(once.values(), key=lambda picture: [int(x) for x in re.findall(r"\d+", picture.name)])


def answers_of(stem: str, declared: Mapping[str, Question], found: Sequence[Outcome]) -> list[Answer]:
    """A study's questions, as declared when they were judged, each with its primary verdict."""
    asked = {**declared, **{name: q for outcome in found for name, q in outcome.questions.items() if name in declared}}
    primary = {row.question: row for outcome in found for row in outcome.verdicts if row.primary}
    return [Answer(stem, question, primary.get(name)) for name, question in asked.items()]


def _chapter(stem: str, declared: Mapping[str, Question], found: Sequence[Outcome]) -> Chapter:
    answers = answers_of(stem, declared, found)
    primary = {answer.question.id: answer for answer in answers}
    secondary = [
        _line(primary[row.question], row, _apart(primary[row.question], row))
        for outcome in found
        for row in outcome.verdicts
        if not row.primary and row.question in primary
    ]
    order = list(primary)
    return Chapter(
        stem, text_of(stem), [_entry(answer) for answer in answers],
        sorted(secondary, key=lambda line: order.index(line.question)),
        [of_files(figure, f"Preset {outcome.preset}. {figure.alt}") for outcome in found for figure in outcome.figures],
        [_source(outcome) for outcome in found],
    )  # fmt: skip


def _own_pictures(chapter: Chapter) -> Chapter:
    """Without those that have sections of their own."""
    return chapter._replace(pictures=[p for p in chapter.pictures if not is_map(p.name) and not is_theory(p.name)])


def _entry(answer: Answer) -> QuestionEntry:
    question = answer.question
    beside = ", ".join(LEVEL_NAMES[level] for level in question.also)
    levels = f"decided at level {LEVEL_NAMES[question.primary]}" + (f", also shown: {beside}" if beside else "")
    strata = {
        name: _stratum(part, question.threshold)
        for name, part in (answer.verdict.strata if answer.verdict else {}).items()
        if name != NOTE
    }
    return QuestionEntry(question.id, question, answer.stem, _line(answer, answer.verdict), levels, strata)


def _stratum(part: object, threshold: float) -> str:
    """`0.12 [0.05, 0.19], supported`; anything else as it stands."""
    if not isinstance(part, Mapping) or not {"effect", "low", "high"} <= set(part):
        return str(part)
    numbers = [
        digits(float("nan") if part[name] is None else part[name], threshold) for name in ("effect", "low", "high")
    ]
    decision = f", {style_of(part['decision']).word}" if part.get("decision") else ""
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]{decision}"


def _line(answer: Answer, row: Verdict | None, remark: str = "") -> Line:
    question = answer.question
    if row is None:
        style = style_of(None)
        return Line(question.id, question.estimand, NONE, question.unit, f"{question.threshold:g}", NONE,
                    LEVEL_NAMES[question.primary], "", NONE, "none", style.symbol, style.word, remark, NONE)  # fmt: skip
    full, style = row.preset == "full", style_of(row.decision, question.equivalence)
    decision = style.word if row.primary else ""
    return Line(
        row.question, row.estimand, estimate(row), row.unit, f"{row.threshold:g}", f"{row.seeds} {replicates(row)}",
        LEVEL_NAMES[row.level], row.preset, digits(row.smallest_detectable, row.threshold), row.decision or "none",
        style.symbol if full else style.hollow, decision, remark or row.strata.get(NOTE, ""), lengths.shown(row),
    )  # fmt: skip


def _apart(answer: Answer, row: Verdict) -> str:
    """Names a secondary estimate of the same quantity that lies outside the primary interval."""
    main = answer.verdict
    same = (
        main is not None and row.unit == main.unit and (row.estimand == main.estimand or "the same" in row.estimand[:8])
    )
    if not same or main is None or main.low <= row.effect <= main.high or not main.low <= main.high:
        return ""
    return "outside the primary interval"


def _source(outcome: Outcome) -> EvidenceSource:
    levels = ", ".join(LEVEL_NAMES[level] for level in outcome.levels)
    return EvidenceSource(outcome.stem, outcome.preset, levels, str(outcome.runs), f"{outcome.core_hours:.2f}", outcome.command,
                  outcome.commit, outcome.machine)  # fmt: skip


def _summary(answers: Sequence[Answer]) -> str:
    """`16 questions: 3 supported, 1 refuted: opposite, ...`, full ones first, quick ones marked, what was not run last."""
    ranked = sorted(answers, key=lambda answer: (answer.verdict is None, not answer.full))
    counts = Counter(answer.decision for answer in ranked)  # in the order of first sight
    return f"{len(answers)} questions: " + ", ".join(f"{count} {decision}" for decision, count in counts.items()) + "."


def _warning(answers: Sequence[Answer]) -> str:
    ran = [answer for answer in answers if answer.verdict is not None]
    quick = [answer.question.id for answer in ran if not answer.full]
    if not quick:
        return ""
    return (
        f"{len(quick)} of {len(ran)} rows ({', '.join(quick)}) rest on quick runs alone: few seeds, used during development. "
        "They show that the study runs and which effects it can detect; they are not verdicts."
    )
