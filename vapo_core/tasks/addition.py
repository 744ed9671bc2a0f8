"""Addition of whole numbers with a scratchpad: `47+85:` asks, `75214831=132` answers.

A column holds both digits, the digit below them and the carry, from the right; after the columns stands the sum. What a
column needs is the prompt and the carry just written, so the state shows in the tokens.
"""

import re
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from vapo_core.settings import Frozen
from vapo_core.tasks.base import GUESS, SKIPPED, Grade, check_split
from vapo_core.tasks.drawing import FILLER, draw_problems, kept_out, length_law
from vapo_core.types import Problem

_SLIP = 0.35  # probability that a careless demonstration has a wrong digit or carry in a column
_LEAP = 0.02  # probability that it goes to the sum before a column


class AdditionDials(Frozen):
    """Dials of addition."""

    shortest: int = Field(1, ge=1, le=12, description="digits of the shortest numbers, the same for both")
    longest: int = Field(3, ge=1, le=12, description="digits of the longest numbers in training")
    farthest: int = Field(4, ge=1, le=12, description="digits of the longest numbers in ood_length; longest = no split")
    skew: float = Field(
        0.5, ge=0, le=100, description="a length's share falls as digits ** -skew; 0 = all lengths equally likely"
    )
    filler: int = Field(
        0, ge=0, le=4096, description="filler tokens in every column, which add length without decisions"
    )
    noise: float = Field(1.0, ge=0, le=1, description="scales the errors in demonstrations; 0 = none")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.shortest <= self.longest <= self.farthest:
            raise ValueError(f"need shortest {self.shortest} <= longest {self.longest} <= farthest {self.farthest}")
        return self


class Sum(NamedTuple):
    """What an addition hides in `Problem.answer`."""

    left: int
    right: int
    digits: int

    def key(self) -> str:
        """The problem whichever way round it is written."""
        return f"{min(self.left, self.right)}+{max(self.left, self.right)}"


class Addition:
    """Task and verifier."""

    pretraining = 4.0
    """Times the usual steps of pretraining a base model: copying each column from the prompt comes late."""
    alphabet = "0123456789+:=" + FILLER

    def __init__(self, dials: AdditionDials) -> None:
        self.dials = dials
        self.step_width = 4 + dials.filler
        self.max_tokens = dials.farthest * (self.step_width + 1) + 3
        law = length_law(dials.shortest, dials.longest, dials.skew)
        self.laws = {"train": law, "held_out": law}
        if dials.farthest > dials.longest:
            self.laws["ood_length"] = length_law(dials.longest + 1, dials.farthest, 0.0)
        self.splits = tuple(self.laws)
        self._response = re.compile(rf"((?:[0-9]{{4}}\.{{{dials.filler}}})*)=([0-9]+)")

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split; a sum of training stands nowhere else, the other way round included."""
        check_split(split, self.splits)
        trained = split == "train"
        return draw_problems(
            rng,
            n,
            self.laws[split],
            lambda digits: self._problem(rng, digits),
            lambda problem: kept_out(problem.answer.key()) != trained,
        )

    def _problem(self, rng: np.random.Generator, digits: int) -> Problem:
        low = 10 ** (digits - 1) if digits > 1 else 0
        left, right = rng.integers(low, 10**digits, size=2).tolist()
        return Problem(f"{left}+{right}:", Sum(left, right, digits), kind=f"{digits} digits", difficulty=float(digits))

    def _columns(self, answer: Sum) -> list[tuple[int, int]]:
        """The two digits of every column, from the right."""
        return [(answer.left // 10**i % 10, answer.right // 10**i % 10) for i in range(answer.digits)]

    def _column(self, a: int, b: int, total: int) -> str:
        return f"{a}{b}{total % 10}{total // 10}{FILLER * self.dials.filler}"

    def scratchpad(self, answer: Sum) -> str:
        """All columns of a problem."""
        text, carry = "", 0
        for a, b in self._columns(answer):
            text += self._column(a, b, a + b + carry)
            carry = (a + b + carry) // 10
        return text

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A scratchpad with wrong columns now and then, and the sum they spell."""
        text, found, carry = "", "", 0
        for a, b in self._columns(problem.answer):
            if rng.random() < _LEAP * self.dials.noise:
                break
            total = a + b + carry
            if rng.random() < _SLIP * self.dials.noise:
                total = int(rng.integers(20))
            text, found, carry = text + self._column(a, b, total), f"{total % 10}{found}", total // 10
        return f"{text}={int(f'{carry}{found}')}"

    def verify(self, problem: Problem, response: str) -> Grade:
        """1 if the sum is right and no written column is false.

        The mode is `guess` without columns, `reasoned` with all columns and everything true, `skipped` with true columns
        but not all of them, `flawed` where reasoning went wrong. Only `reasoned` and `flawed` are reasoning.
        """
        match = self._response.fullmatch(response) if len(response) <= self.max_tokens else None
        if match is None:
            return Grade(0.0, parsed=False)
        answer: Sum = problem.answer
        truth, (columns, total) = self.scratchpad(answer), match.groups()
        right = total == str(answer.left + answer.right)
        if not columns:
            return Grade(float(right), mode=GUESS)
        if columns == truth:
            return Grade(float(right), mode="reasoned" if right else "flawed")
        return Grade(float(right), mode=SKIPPED) if truth.startswith(columns) else Grade(0.0, mode="flawed")

    def boundaries(self, response: str) -> list[int]:
        """Character positions after each column."""
        columns = len(response.partition("=")[0])
        return list(range(self.step_width, columns + 1, self.step_width))
