"""Detailed evaluation of a policy on one split: pass@1, pass@k, by length, by difficulty, by kind of answer."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vapo_core.rollout.base import Engine
from vapo_core.seeds import child
from vapo_core.tasks.base import Grade, Task
from vapo_core.training.collect import grade_all
from vapo_core.training.metrics import pass_at_k
from vapo_core.types import Problem

CHUNK = 2048
"""Responses sampled side by side."""

BINS = 4
"""Equally filled bins of the tables of accuracy."""

MOST_VALUES = 12
"""Values of difficulty that have a line each; more are put into bins."""


class Bin(NamedTuple):
    """Responses of similar length, or to problems of similar difficulty."""

    low: float
    high: float
    responses: int
    accuracy: float


class EvaluationReport(NamedTuple):
    """Results of n answers to each of P problems."""

    problems: int
    distinct_problems: int
    """Distinct problems: a small split is repeated."""
    answers: int
    pass_at_1: float
    """Mean over problems of the share of right answers: avg@n, the unbiased pass@1."""
    pass_at_1_se: float
    """Standard error of it over distinct problems."""
    pass_at_k: dict[int, float]
    """By k, unbiased from n >= 2k answers."""
    parsed: float
    """Share of answers the verifier could read."""
    truncated: float
    """Share of answers cut off by the length limit."""
    mean_length: float
    """Tokens, stop token included."""
    reasoned: float
    """Share of answers that are right by reasoning: neither a guess nor with steps skipped."""
    distinct_correct: float
    """Distinct modes among a problem's right answers, mean over problems."""
    modes: dict[str, float]
    """Share of answers of each kind, as the task names them; a guess is not reasoning."""
    modes_of_correct: dict[str, float]
    """The same among right answers."""
    by_length: list[Bin]
    """By tokens of the response."""
    by_difficulty: list[Bin]
    """By the problem's difficulty, in the task's own measure."""


def detailed_evaluation(
    engine: Engine, task: Task, problems: Sequence[Problem], answers: int, ks: Sequence[int], seed: int
) -> EvaluationReport:
    """Sample `answers` per problem and count.

    Args:
        ks: values of k for pass@k, each at most answers / 2.

    Raises:
        ValueError: if a k is too large for the number of answers.
    """
    too_large = [k for k in ks if 2 * k > answers]
    if too_large:
        raise ValueError(f"k = {too_large[0]} needs at least {2 * too_large[0]} answers per problem, got {answers}")
    grades: list[Grade] = []
    lengths: list[np.ndarray] = []
    truncated: list[np.ndarray] = []
    width = max(1, CHUNK // answers)
    for number, first in enumerate(range(0, len(problems), width)):
        part = problems[first : first + width]
        rollout = engine.generate(part, answers, child(seed, number))
        grades += grade_all(task, part, answers, rollout)
        lengths.append(rollout.mask.sum(1).cpu().numpy())
        truncated.append(rollout.truncated.cpu().numpy())
    return _count(problems, grades, np.concatenate(lengths), np.concatenate(truncated), ks)


def _count(
    problems: Sequence[Problem], grades: Sequence[Grade], lengths: np.ndarray, truncated: np.ndarray, ks: Sequence[int]
) -> EvaluationReport:
    answers = len(grades) // len(problems)
    right = np.array([grade.reward == 1.0 for grade in grades])
    per_problem = right.reshape(-1, answers)
    share = per_problem.mean(1)
    modes = np.array([grade.mode or ("unnamed" if grade.parsed else "unreadable") for grade in grades])
    asked = np.unique([problem.prompt for problem in problems], return_inverse=True)[1]
    difficulty = np.repeat([problem.difficulty for problem in problems], answers)
    distinct = [len(set(m[r])) for m, r in zip(modes.reshape(-1, answers), per_problem, strict=True)]
    return EvaluationReport(
        problems=len(share),
        distinct_problems=int(asked.max()) + 1,
        answers=answers,
        pass_at_1=float(share.mean()),
        pass_at_1_se=_standard_error(share, asked),
        pass_at_k={k: float(np.mean([pass_at_k(answers, int(c), k) for c in per_problem.sum(1)])) for k in ks},
        parsed=float(np.mean([grade.parsed for grade in grades])),
        truncated=float(truncated.mean()),
        mean_length=float(lengths.mean()),
        reasoned=float(np.mean([grade.reasoned for grade in grades])),
        distinct_correct=float(np.mean(distinct)),
        modes=_shares(modes),
        modes_of_correct=_shares(modes[right]),
        by_length=_bins(lengths, right),
        by_difficulty=_by_value(difficulty, right),
    )


def _standard_error(share: np.ndarray, asked: np.ndarray) -> float:
    """Of the mean of `share` [P], problems with the same number `asked` [P] being one cluster; nan for a single one.

    sqrt(C / (C - 1) sum_c (sum_{i in c} (x_i - mean))^2) / P with C clusters: the usual sd / sqrt(P) where all differ.
    """
    clusters = int(asked.max()) + 1
    if clusters < 2:
        return float("nan")
    sums = np.bincount(asked, share - share.mean())
    return float(np.sqrt(clusters / (clusters - 1) * (sums**2).sum()) / len(share))


def _shares(modes: np.ndarray) -> dict[str, float]:
    """Share of each mode, the commonest first."""
    return {mode: count / len(modes) for mode, count in Counter(modes.tolist()).most_common()}


def _bins(values: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Accuracy in bins with about equally many responses; equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    return _grouped(np.searchsorted(edges, values, side="left"), values, right)


def _by_value(values: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Accuracy at every value, in bins where there are many."""
    found, place = np.unique(values, return_inverse=True)
    return _grouped(place, values, right) if len(found) <= MOST_VALUES else _bins(values, right)


def _grouped(place: np.ndarray, values: np.ndarray, right: np.ndarray) -> list[Bin]:
    bins: list[Bin] = []
    for number in np.unique(place):
        inside = place == number
        here: Any = values[inside]
        bins.append(Bin(float(here.min()), float(here.max()), int(inside.sum()), float(right[inside].mean())))
    return bins
