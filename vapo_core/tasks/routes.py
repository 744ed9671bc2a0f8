"""A ring with several ways round: `d>k:` asks, `Adefghijk` or `Bdcba...` answers; every route is right, each in its own time.

A route is a fixed stride, named by a capital letter at the start of the response; then follow the cells it visits up to
the goal. The number of routes is the number of distinct correct answers to every problem, no more and no fewer.
"""

import string
from functools import cached_property
from math import gcd
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from vapo_core.settings import Frozen
from vapo_core.tasks.base import Grade, check_split, passes
from vapo_core.tasks.drawing import FILLER, kept_out
from vapo_core.types import Problem

STRIDES = (1, -1, 2, -2, 3, -3)
"""Cells a route moves at a time, clockwise, by its letter A, B ..."""

_STRAY = 0.06  # probability that a careless demonstration lands in a wrong cell
_LEAVE = 0.03  # probability that it ends after a cell short of the goal


class RoutesDials(Frozen):
    """Dials of the routes."""

    size: int = Field(17, ge=5, le=26, description="cells on the ring, named by letters")
    modes: int = Field(4, ge=1, le=len(STRIDES), description="distinct correct answers to every problem")
    reach: int = Field(
        6,
        ge=1,
        le=26,
        description="distance of the farthest goal in training, in cells along the ring; split ood_length has farther ones",
    )
    filler: int = Field(
        0, ge=0, le=4096, description="filler tokens after every cell, which add length without decisions"
    )
    noise: float = Field(1.0, ge=0, le=1, description="scales the errors in demonstrations; 0 = none")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        blocked = [stride for stride in STRIDES[: self.modes] if gcd(stride, self.size) > 1]
        if blocked:
            raise ValueError(
                f"size {self.size}: a stride of {abs(blocked[0])}, mode {self.modes}, misses cells of this ring"
            )
        return self


class Trip(NamedTuple):
    """What a route problem hides in `Problem.answer`: two cells by number."""

    start: int
    goal: int


class Routes:
    """Task and verifier."""

    def __init__(self, dials: RoutesDials) -> None:
        self.dials = dials
        self.cells = string.ascii_lowercase[: dials.size]
        self.names = string.ascii_uppercase[: dials.modes]
        self.step_width = 1 + dials.filler
        self.max_tokens = 2 + (dials.size - 1) * self.step_width
        self.alphabet = self.cells + self.names + ">:" + FILLER
        self.splits = tuple(self.problems)

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """Every trip by split; a split without trips is not offered."""
        found: dict[str, list[Problem]] = {"train": [], "held_out": [], "ood_length": []}
        for start in range(self.dials.size):
            for goal in range(self.dials.size):
                if start != goal:
                    problem = self._problem(Trip(start, goal))
                    found[self._split(problem)].append(problem)
        return {split: problems for split, problems in found.items() if problems}

    def _problem(self, trip: Trip) -> Problem:
        prompt = f"{self.cells[trip.start]}>{self.cells[trip.goal]}:"
        lengths = [len(self.route(trip, mode)) for mode in range(self.dials.modes)]
        return Problem(prompt, trip, kind=self.names[int(np.argmin(lengths))], difficulty=float(min(lengths)))

    def _split(self, problem: Problem) -> str:
        ahead = (problem.answer.goal - problem.answer.start) % self.dials.size
        if min(ahead, self.dials.size - ahead) > self.dials.reach:
            return "ood_length"
        return "held_out" if kept_out(problem.prompt) else "train"

    def route(self, trip: Trip, mode: int) -> list[int]:
        """Cells a route visits, the goal last."""
        cells = [(trip.start + STRIDES[mode]) % self.dials.size]
        while cells[-1] != trip.goal:
            cells.append((cells[-1] + STRIDES[mode]) % self.dials.size)
        return cells

    def written(self, mode: int, cells: list[int]) -> str:
        """A response."""
        return self.names[mode] + "".join(self.cells[cell] + FILLER * self.dials.filler for cell in cells)

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split: whole passes over it in random order, so they are distinct while n allows."""
        check_split(split, self.splits)
        return passes(self.problems[split], rng, n)

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """Any of the routes, alike often; it strays and goes on from there, or ends early, now and then."""
        trip: Trip = problem.answer
        cells: list[int] = []
        mode, cell = int(rng.integers(self.dials.modes)), trip.start
        while cell != trip.goal and len(cells) < self.dials.size - 1:
            cell = (cell + STRIDES[mode]) % self.dials.size
            if rng.random() < _STRAY * self.dials.noise:
                cell = int(rng.integers(self.dials.size))
            cells.append(cell)
            if rng.random() < _LEAVE * self.dials.noise:
                break
        return self.written(mode, cells)

    def verify(self, problem: Problem, response: str) -> Grade:
        """1 if the named route is walked cell by cell to the goal and no further; the mode is the route when it is right."""
        if not self._readable(response):
            return Grade(0.0, parsed=False)
        mode = self.names.index(response[0])
        truth = self.written(mode, self.route(problem.answer, mode))
        if response == truth:
            return Grade(1.0, mode=f"route {response[0]}")
        return Grade(0.0, mode="unfinished" if truth.startswith(response) else "strayed")

    def _readable(self, response: str) -> bool:
        """Whether a text is a route's letter and a run of cells, each with its filler."""
        width, filler = self.step_width, FILLER * self.dials.filler
        if not response or response[0] not in self.names or (len(response) - 1) % width:
            return False
        if len(response) > self.max_tokens:
            return False
        parts = (response[i : i + width] for i in range(1, len(response), width))
        return all(part[0] in self.cells and part[1:] == filler for part in parts)

    def boundaries(self, response: str) -> list[int]:
        """Character positions after the route's letter and after each cell."""
        return list(range(1, len(response) + 1, self.step_width))
