"""What a task is: problems, prompts, demonstrations and a verifier. Pure Python and numpy; no model in sight."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from vapo_core.types import Problem

SPLITS = ("train", "held_out")


class Grade(NamedTuple):
    """A verifier's word on one response."""

    reward: float
    """In [0, 1]; 1 is correct."""
    parsed: bool = True
    """False when the response could not be read at all, which is not the same as wrong."""
    mode: str = ""
    """Which way of answering it was, such as the correct solution reached; equal modes count once."""


class Task(Protocol):
    """A source of problems with a verifier."""

    max_tokens: int
    """Length limit of a response in tokens, stop token included."""

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split, `train` or `held_out`."""
        ...

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A noisy worked answer, for pretraining a base model."""
        ...

    def verify(self, problem: Problem, response: Any) -> Grade:
        """Grade a response; deterministic, never evaluates it as code."""
        ...


class FunctionTask:
    """A user's own task from plain functions."""

    def __init__(
        self,
        sample: Callable[[np.random.Generator, int, str], Sequence[Problem]],
        verify: Callable[[Problem, str], float | Grade],
        demonstration: Callable[[Problem, np.random.Generator], str],
        alphabet: str,
        max_tokens: int,
    ) -> None:
        """Args: alphabet, every character of prompts and responses; max_tokens, with one token per character."""
        self.alphabet, self.max_tokens = alphabet, max_tokens
        self._sample, self._verify, self._demonstration = sample, verify, demonstration

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split."""
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
