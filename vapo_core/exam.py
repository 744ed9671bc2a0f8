"""A closer look at one policy on one split: pass@1, pass@k, by length, by kind of answer."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vapo_core.collect_batch import grade_all
from vapo_core.metrics import pass_at_k
from vapo_core.rollout.base import Engine
from vapo_core.seeds import child
from vapo_core.tasks.base import Grade, Task
from vapo_core.types import Problem

CHUNK = 2048
"""Responses sampled side by side."""

BINS = 4
"""Equally filled bins of the accuracy-by-length table."""


class Bin(NamedTuple):
    """Responses of similar length."""

    shortest: int
    longest: int
    responses: int
    accuracy: float


class Exam(NamedTuple):
    """What n answers to each of P problems say."""

    problems: int
    answers: int
    pass_at_1: float
    """Mean over problems of the share of right answers: avg@n, the unbiased pass@1."""
    pass_at_1_se: float
    """Standard error of it over problems."""
    pass_at_k: dict[int, float]
    """By k, unbiased from n >= 2k answers."""
    parsed: float
    """Share of answers the verifier could read."""
    truncated: float
    """Share of answers cut off by the length limit."""
    mean_length: float
    """Tokens, stop token included."""
    distinct_correct: float
    """Distinct modes among a problem's right answers, mean over problems."""
    modes: dict[str, float]
    """Share of answers of each kind, as the task names them; a guess is not reasoning."""
    modes_of_correct: dict[str, float]
    """The same among right answers."""
    by_length: list[Bin]


def examine(
    engine: Engine, task: Task, problems: Sequence[Problem], answers: int, ks: Sequence[int], seed: int
) -> Exam:
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
    return _count(grades, np.concatenate(lengths), np.concatenate(truncated), answers, ks)


def _count(
    grades: Sequence[Grade], lengths: np.ndarray, truncated: np.ndarray, answers: int, ks: Sequence[int]
) -> Exam:
    right = np.array([grade.reward == 1.0 for grade in grades])
    per_problem = right.reshape(-1, answers)
    share = per_problem.mean(1)
    modes = np.array([grade.mode or "unnamed" for grade in grades])
    distinct = [len(set(m[r])) for m, r in zip(modes.reshape(-1, answers), per_problem, strict=True)]
    return Exam(
        problems=len(share),
        answers=answers,
        pass_at_1=float(share.mean()),
        pass_at_1_se=float(share.std(ddof=1) / np.sqrt(len(share))) if len(share) > 1 else float("nan"),
        pass_at_k={k: float(np.mean([pass_at_k(answers, int(c), k) for c in per_problem.sum(1)])) for k in ks},
        parsed=float(np.mean([grade.parsed for grade in grades])),
        truncated=float(truncated.mean()),
        mean_length=float(lengths.mean()),
        distinct_correct=float(np.mean(distinct)),
        modes=_shares(modes),
        modes_of_correct=_shares(modes[right]),
        by_length=_bins(lengths, right),
    )


def _shares(modes: np.ndarray) -> dict[str, float]:
    """Share of each mode, the commonest first."""
    return {mode: count / len(modes) for mode, count in Counter(modes.tolist()).most_common()}


def _bins(lengths: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Accuracy in bins of length with about equally many responses; equal lengths stay together."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, lengths, side="left")
    found: list[Bin] = []
    for number in np.unique(place):
        inside = place == number
        here: Any = lengths[inside]
        found.append(Bin(int(here.min()), int(here.max()), int(inside.sum()), float(right[inside].mean())))
    return found
