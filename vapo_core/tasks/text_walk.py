"""The walk written out as text: every move is followed by the cell it leads to, so the state is visible in the tokens.

Cells of the ring are named by letters, the goal is always `a`. Prompt `d!f:` asks for a walk from cell d past the hazard
that begins at f; a response is `<c<b<a`, a direction and the cell reached for every move, and the stop token at the end.
"""

import re
import string
from dataclasses import replace
from functools import cached_property

import numpy as np
from pydantic import Field

from vapo_core.settings import Frozen
from vapo_core.tasks.base import Grade
from vapo_core.tasks.walk import LEFT, MOVES, RIGHT, STOP, Start, Walk, WalkDials
from vapo_core.types import Problem

_DIRECTIONS = "<>"


class TextWalkDials(Frozen):
    """Dials of the text walk."""

    size: int = Field(16, ge=4, le=26, description="cells on the ring, named by letters")
    horizon: int = Field(18, ge=2, description="most decisions in a response, stopping included")
    hazard: int = Field(1, ge=0, description="width of the deadly stretch in cells")
    noise: float = Field(1.0, ge=0, le=1, description="how careless demonstrations are; 0 = always right")


class TextWalk:
    """Task and verifier."""

    def __init__(self, dials: TextWalkDials) -> None:
        self.dials = dials
        self.walk = Walk(WalkDials(size=dials.size, horizon=dials.horizon, hazard=dials.hazard))
        self.max_tokens = 2 * (dials.horizon - 1) + 1
        self.letters = string.ascii_lowercase[: dials.size]
        self.alphabet = self.letters + _DIRECTIONS + "!:"
        self._response = re.compile(f"(?:[{_DIRECTIONS}][{self.letters}])*")

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """The walk's own problems and splits, written as text."""
        return {split: [self._written(p) for p in found] for split, found in self.walk.problems.items()}

    def _written(self, problem: Problem) -> Problem:
        start: Start = problem.answer
        return replace(problem, prompt=f"{self._cell(-start.goal)}!{self._cell(start.hazard - start.goal)}:")

    def _cell(self, offset: int) -> str:
        """Name of the cell this far clockwise from the goal."""
        return self.letters[offset % self.dials.size]

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split: whole passes over it in random order, so they are distinct while n allows."""
        source = self.problems[split]
        order = np.concatenate([rng.permutation(len(source)) for _ in range(-(-n // len(source)))])[:n]
        return [source[i] for i in order]

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A walk that picks its way at random (as `noise` has it), strays, stops early and misnames cells now and then."""
        cell, state, text = -problem.answer.goal, self.walk.start_state(problem.answer), []
        right_way = int(np.argmin(self.walk.shortest[self.walk.transitions[state, :STOP]]))
        way = int(rng.integers(2)) if rng.random() < self.dials.noise else right_way
        for _ in range(self.dials.horizon - 1):
            solved = self.walk.correct_actions[state, STOP]
            if rng.random() < (1 - 0.1 * self.dials.noise if solved else 0.08 * self.dials.noise):
                break
            action = int(rng.integers(2)) if rng.random() < 0.1 * self.dials.noise else way
            state = int(self.walk.transitions[state, action])
            cell += int(MOVES[action])
            named = int(rng.integers(self.dials.size)) if rng.random() < 0.02 * self.dials.noise else cell
            text.append(_DIRECTIONS[action] + self._cell(named))
        return "".join(text)

    def verify(self, problem: Problem, response: str) -> Grade:
        """1 if every move is named truly and the walk stops at the goal unbroken; mode is the way round."""
        if len(response) > 2 * self.dials.horizon or not self._response.fullmatch(response):
            return Grade(0.0, parsed=False)
        cell, state = -problem.answer.goal, self.walk.start_state(problem.answer)
        for direction, name in zip(response[::2], response[1::2], strict=True):
            action = RIGHT if direction == ">" else LEFT
            cell += int(MOVES[action])
            if self._cell(cell) != name:
                return Grade(0.0, mode="misnamed")
            state = int(self.walk.transitions[state, action])
        return Grade(float(self.walk.correct_actions[state, STOP]), mode=response[:1])
