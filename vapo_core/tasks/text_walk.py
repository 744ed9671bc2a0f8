"""The walk written out as text: every move is followed by the cell it leads to, so the state is visible in the tokens.

Cells of the ring are named by letters, the goal is always `a`. Prompt `d!f:` asks for a walk from cell d past the hazard
that begins at f; a response is `<c<b<a`, a direction and the cell reached for every move, and the stop token at the end.
"""

import re
import string
from dataclasses import replace
from functools import cached_property
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from vapo_core.settings import Frozen
from vapo_core.tasks.base import Grade, check_split, passes
from vapo_core.tasks.drawing import FILLER
from vapo_core.tasks.walk import LEFT, MOVES, RIGHT, STOP, Start, Walk, WalkDials
from vapo_core.types import Problem

_DIRECTIONS = "<>"


class TextWalkDials(Frozen):
    """Dials of the text walk."""

    size: int = Field(16, ge=4, le=26, description="cells on the ring, named by letters")
    horizon: int = Field(18, ge=2, le=4096, description="maximum number of decisions in a response, stopping included")
    hazard: int = Field(1, ge=0, le=26, description="width of the deadly stretch in cells")
    reach: int = Field(
        26,
        ge=1,
        le=4096,
        description="distance of the farthest goal in training, in moves; split ood_length has farther ones",
    )
    filler: int = Field(
        0, ge=0, le=4096, description="filler tokens after every move, which add length without decisions"
    )
    noise: float = Field(1.0, ge=0, le=1, description="scales the errors in demonstrations; 0 = none")

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.hazard > self.size - 2:
            raise ValueError(
                f"hazard {self.hazard} must be at most size - 2 = {self.size - 2}: start and goal lie outside"
            )
        return self


class TextWalk:
    """Task and verifier."""

    def __init__(self, dials: TextWalkDials) -> None:
        self.dials = dials
        self.walk = Walk(WalkDials(size=dials.size, horizon=dials.horizon, hazard=dials.hazard))
        self.step_width = 2 + dials.filler
        self.max_tokens = self.step_width * (dials.horizon - 1) + 1
        self.letters = string.ascii_lowercase[: dials.size]
        self.alphabet = self.letters + _DIRECTIONS + "!:" + FILLER[: dials.filler]
        self._filler = FILLER * dials.filler
        self._response = re.compile(f"(?:[{_DIRECTIONS}][{self.letters}]{re.escape(self._filler)})*")
        self.splits = tuple(self.problems)

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """The walk's own problems and splits, written as text; those beyond reach make a split of their own, if any."""
        reach = self.dials.reach + 1  # difficulty counts the stop
        near = {
            split: [self._written(p) for p in found if p.difficulty <= reach]
            for split, found in self.walk.problems.items()
        }
        far = [self._written(p) for found in self.walk.problems.values() for p in found if p.difficulty > reach]
        return {split: found for split, found in {**near, "ood_length": far}.items() if found}

    def _written(self, problem: Problem) -> Problem:
        start: Start = problem.answer
        return replace(problem, prompt=f"{self._cell(-start.goal)}!{self._cell(start.hazard - start.goal)}:")

    def _cell(self, offset: int) -> str:
        """Name of the cell this far clockwise from the goal."""
        return self.letters[offset % self.dials.size]

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split: whole passes over it in random order, so they are distinct while n allows."""
        check_split(split, self.splits)
        return passes(self.problems[split], rng, n)

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
            text.append(_DIRECTIONS[action] + self._cell(named) + self._filler)
        return "".join(text)

    def verify(self, problem: Problem, response: str) -> Grade:
        """1 if every move is named truly and the walk stops at the goal unbroken.

        The mode is the way round, `>` or `<`, steps back not counted; `=` is where the walk began. Past a hazard there is
        one way, so a problem has a second solution only without one.
        """
        if len(response) > self.step_width * self.dials.horizon or not self._response.fullmatch(response):
            return Grade(0.0, parsed=False)
        cell, state = -problem.answer.goal, self.walk.start_state(problem.answer)
        for direction, name in zip(response[:: self.step_width], response[1 :: self.step_width], strict=True):
            action = RIGHT if direction == ">" else LEFT
            cell += int(MOVES[action])
            if self._cell(cell) != name:
                return Grade(0.0, mode="misnamed")
            state = int(self.walk.transitions[state, action])
        moved = cell + problem.answer.goal
        way = ">" if moved > 0 else "<" if moved < 0 else "="
        return Grade(float(self.walk.correct_actions[state, STOP]), mode=way)

    def boundaries(self, response: str) -> list[int]:
        """Character positions after each whole move."""
        return list(range(self.step_width, len(response) + 1, self.step_width))
