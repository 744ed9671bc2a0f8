"""What a task is: problems, prompts, demonstrations and a verifier. Pure Python and numpy; no model in sight."""

from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple, Protocol

import numpy as np

from vapo_core.reading import reading, reason_of
from vapo_core.suggest import nearest
from vapo_core.time_limit import OutOfTime, call_within
from vapo_core.types import Problem

SPLITS = ("train", "held_out", "ood_length", "ood_operator", "ood_composition", "ood_hazard")
"""Training; new problems like them; and problems that are new in one way: longer, with an operator, a sequence of
operators or a place of the hazard that training has not. A task offers those that make sense for it and its dials."""


GUESS, SKIPPED = "guess", "skipped"
"""Modes, in every task, of an answer without reasoning and of one that goes to the result before it is reached: right or
not, they are not counted as solving."""


TIME_LIMIT_S = 60.0
"""Seconds that a verifier may take over one response, unless its task says otherwise."""


class Grade(NamedTuple):
    """A verifier's word on one response."""

    reward: float
    """In [0, 1]; 1 is correct."""
    parsed: bool = True
    """False when the response could not be read at all, which is not the same as wrong."""
    mode: str = ""
    """Which way of answering it was, such as the correct solution reached; equal modes count once."""

    @property
    def reasoned(self) -> bool:
        """Right, and by reasoning from the first step to the last."""
        return self.reward == 1.0 and self.mode not in (GUESS, SKIPPED)


class Task(Protocol):
    """A source of problems with a verifier.

    A task on text also has an `alphabet`. It may have `pretraining`, times the usual steps of pretraining a base model, and
    `lessons(rng, n)`, the problems to pretrain on where they are not those of `train`; `time_limit_s`, seconds that one call of
    `verify` may take if not `TIME_LIMIT_S`; and `verify_all(problems, responses)`, which limits itself, where many responses
    are graded faster together.
    """

    max_tokens: int
    """Length limit of a response in tokens, stop token included."""
    splits: tuple[str, ...]
    """Which of SPLITS it offers."""

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of one of its splits; no problem of another split is in `train`."""
        ...

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A noisy worked answer, for pretraining a base model."""
        ...

    def verify(self, problem: Problem, response: Any) -> Grade:
        """Grade a response; deterministic, never evaluates it as code."""
        ...

    def boundaries(self, response: Any) -> list[int]:
        """Positions in a response (characters of a text) after each step of reasoning; none where there are no steps."""
        ...


def check_split(split: str, offered: Sequence[str]) -> None:
    """Refuse a split that a task does not offer.

    Raises:
        ValueError: naming the splits it has.
    """
    if split not in offered:
        raise ValueError(f"split: no split {split!r} in this task{nearest(split, offered)}")


def passes(source: Sequence[Problem], rng: np.random.Generator, n: int) -> list[Problem]:
    """n problems in whole passes over a finite source, each in random order: distinct while n allows."""
    rounds = -(-n // len(source))
    order = np.concatenate([rng.permutation(len(source)) for _ in range(rounds)])[:n]
    return [source[i] for i in order]


def verify_all(task: Any, problems: Sequence[Problem], responses: Sequence[Any]) -> list[Grade]:
    """A grade per response, each to its own problem; by the task's own `verify_all` where it has one.

    Raises:
        ValueError: naming the verifier, if one of its verdicts is none, or if it fails or takes too long.
    """
    if not hasattr(task, "verify_all"):
        limit, name = getattr(task, "time_limit_s", TIME_LIMIT_S), f"{type(task).__name__}.verify"
        return [judged(task.verify, name, limit, p, r) for p, r in zip(problems, responses, strict=True)]
    name = f"{type(task).__name__}.verify_all"
    verdicts = task.verify_all(problems, responses)
    if not isinstance(verdicts, Sequence) or len(verdicts) != len(responses):
        raise ValueError(
            f"verifier {name} returned {short(verdicts)}; allowed are {len(responses)} grades, one a response"
        )
    grades: dict[int, Grade] = {}  # many responses share a verdict, which is looked at once
    return [grades.get(id(v)) or grades.setdefault(id(v), as_grade(v, name)) for v in verdicts]


def judged(verify: Callable[[Problem, Any], Any], name: str, limit_s: float, problem: Problem, response: Any) -> Grade:
    """The verdict of somebody's function on one response.

    Args: name, the verifier's in errors; limit_s, seconds it may take.

    Raises:
        ValueError: if it fails, takes longer, or returns what is no verdict.
    """
    try:
        verdict = call_within(limit_s, lambda: verify(problem, response))
    except OutOfTime:
        raise ValueError(
            f"verifier {name}: no verdict on {short(response)} within {limit_s:g} s; time_limit_s of the task allows longer"
        ) from None
    except MemoryError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {reason_of(error)}"
        raise ValueError(f"verifier {name} failed on {short(response)} ({reason})") from error
    return as_grade(verdict, name)


def as_grade(verdict: Any, name: str) -> Grade:
    """A verdict as a grade of plain numbers.

    Raises:
        ValueError: naming the verifier, if it is neither a number in [0, 1] nor a grade.
    """
    given = verdict if isinstance(verdict, Grade) else Grade(verdict)
    reward = _plain_number(given.reward)
    sound = isinstance(given.parsed, bool | np.bool_) and isinstance(given.mode, str)
    if reward is None or not sound or not 0 <= reward <= 1:
        raise ValueError(
            f"verifier {name} returned {short(verdict)}; allowed is [0, 1]: a number, True or False, or a Grade with such a"
            " reward, parsed True or False, and a text as mode"
        )
    return Grade(float(reward), bool(given.parsed), given.mode)


def _plain_number(value: Any) -> Any:
    """A real number, also one that an array or tensor holds alone; None for anything else."""
    if not isinstance(value, Real) and hasattr(value, "item"):
        try:
            value = value.item()
        except (TypeError, ValueError, RuntimeError):  # it holds several
            return None
    return value if isinstance(value, Real) else None


def short(value: object) -> str:
    """A value as it is written in Python, in one line of at most `LONGEST` characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


LONGEST = 100
"""Characters of a wrong value that are repeated."""


class FunctionTask:
    """A user's own task from plain functions."""

    def __init__(
        self,
        sample: Callable[[np.random.Generator, int, str], Sequence[Problem]],
        verify: Callable[[Problem, str], float | Grade],
        demonstration: Callable[[Problem, np.random.Generator], str],
        alphabet: str,
        max_tokens: int,
        splits: tuple[str, ...] = ("train", "held_out"),
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        """Args: alphabet, every character of prompts and responses; max_tokens, with one token per character; time_limit_s,
        seconds that one call of `verify` may take before the run is stopped (infinity for no limit).

        Raises:
            ValueError: if the limit is not above 0.
        """
        if not time_limit_s > 0:
            raise ValueError(f"time_limit_s = {time_limit_s!r}: seconds that verify may take, allowed is above 0")
        self.alphabet, self.max_tokens, self.splits, self.time_limit_s = alphabet, max_tokens, splits, time_limit_s
        self._sample, self._verify, self._demonstration = sample, verify, demonstration

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split.

        Raises:
            ValueError: for a split it has not, or if the function fails or gives anything but problems, or none.
        """
        check_split(split, self.splits)
        with reading(f"sample {name_of(self._sample)}", "failed"):
            found = self._sample(rng, n, split)
            problems = list(found) if isinstance(found, Iterable) else [found]
        wrong = [p for p in problems if not (isinstance(p, Problem) and isinstance(p.prompt, str))]
        if wrong or not problems:
            what = f"{short(wrong[0])} among its problems" if wrong else "no problem"
            raise ValueError(
                f"sample {name_of(self._sample)} returned {what} of split {split!r}; allowed are {n} of Problem(prompt, answer),"
                " the prompt a text"
            )
        return problems

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A worked answer.

        Raises:
            ValueError: if the function fails or gives anything but a text.
        """
        with reading(f"demonstration {name_of(self._demonstration)}", "failed"):
            text = self._demonstration(problem, rng)
        if not isinstance(text, str):
            raise ValueError(f"demonstration {name_of(self._demonstration)} returned {short(text)}; allowed is a text")
        return text

    def verify(self, problem: Problem, response: str) -> Grade:
        """The user's verdict, a plain number or a Grade.

        Raises:
            ValueError: if it is neither or outside [0, 1], or if the function fails or takes too long.
        """
        return judged(self._verify, name_of(self._verify), self.time_limit_s, problem, response)

    def verify_all(self, problems: Sequence[Problem], responses: Sequence[str]) -> list[Grade]:
        """A verdict per response, each to its own problem."""
        return [self.verify(problem, response) for problem, response in zip(problems, responses, strict=True)]

    def boundaries(self, response: str) -> list[int]:
        """A user's function names no steps."""
        return []


def name_of(function: Any) -> str:
    """A function's name, or that of a callable object's type."""
    return getattr(function, "__name__", type(function).__name__)
