"""What a task is: problems, prompts, demonstrations and a verifier. Pure Python and numpy; no model in sight."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from vapo_core.suggest import nearest
from vapo_core.types import Problem

SPLITS = ("train", "held_out", "ood_length", "ood_operator", "ood_composition", "ood_hazard")
"""Training; new problems like them; and problems that are new in one way: longer, with an operator, a sequence of
operators or a place of the hazard that training has not. A task offers those that make sense for it and its dials."""


GUESS, SKIPPED = "guess", "skipped"
"""Modes, in every task, of an answer without reasoning and of one that goes to the result before it is reached: right or
not, they are not counted as solving."""


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
    `lessons(rng, n)`, the problems to pretrain on where they are not those of `train`; and `verify_all(problems, responses)`
    where many responses are graded faster together.
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
    """A grade per response, each to its own problem; by the task's own `verify_all` where it has one."""
    if hasattr(task, "verify_all"):
        return task.verify_all(problems, responses)
    return [task.verify(problem, response) for problem, response in zip(problems, responses, strict=True)]


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
    ) -> None:
        """Args: alphabet, every character of prompts and responses; max_tokens, with one token per character."""
        self.alphabet, self.max_tokens, self.splits = alphabet, max_tokens, splits
        self._sample, self._verify, self._demonstration = sample, verify, demonstration

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split."""
        check_split(split, self.splits)
        return list(self._sample(rng, n, split))

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A worked answer."""
        return self._demonstration(problem, rng)

    def verify(self, problem: Problem, response: str) -> Grade:
        """The user's verdict, a plain number or a Grade.

        Raises:
            ValueError: if the number is outside [0, 1].
        """
        verdict = self._verify(problem, response)
        grade = verdict if isinstance(verdict, Grade) else Grade(float(verdict))
        if not 0.0 <= grade.reward <= 1.0:
            raise ValueError(f"verifier returned {grade.reward}, allowed is [0, 1]")
        return grade

    def boundaries(self, response: str) -> list[int]:
        """A user's function names no steps."""
        return []
