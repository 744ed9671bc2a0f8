"""The reasoning walk: a Markov task on a ring of cells, small enough for exact answers.

A walker must reach a goal cell and stop there. Cells of a hazard break the walk for good: a broken walk can go on but
never succeeds, as an early error invalidates a chain of thought. Since only offsets matter on a ring, every problem
lives in one state space (stage, goal offset, hazard offset, broken), and values follow by backward induction.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from vapo_core import bounds
from vapo_core.settings import Frozen
from vapo_core.tasks.base import GUESS, Grade, check_split, passes
from vapo_core.types import Problem

LEFT, RIGHT, STOP = 0, 1, 2
ACTIONS = 3
MOVES = np.array([-1, 1, 0])
NAMES = ("left", "right", "stop")


class WalkDials(Frozen):
    """Dials of the walk."""

    size: int = Field(16, ge=4, le=256, description="cells on the ring")
    horizon: int = Field(48, ge=2, le=bounds.TOKENS, description="most decisions in a response")
    nearest: int = Field(2, ge=2, le=bounds.TOKENS, description="decisions of the shortest problems, stopping included")
    farthest: int = Field(
        4096, ge=2, le=bounds.TOKENS, description="decisions of the longest problems; none is beyond the horizon"
    )
    hazard: int = Field(1, ge=0, le=256, description="width of the deadly stretch in cells")
    novel_hazards: int = Field(
        0, ge=0, le=256, description="places of the hazard, counted from the goal, that are kept for split ood_hazard"
    )
    filler: int = Field(
        0, ge=0, le=bounds.TOKENS, description="forced tokens after every move: length without decisions"
    )
    fixed_length: bool = Field(
        False, description="every response takes `horizon` decisions and is judged where it ends"
    )
    sparsity: int = Field(0, ge=0, le=8, description="waypoints that must be passed, in order, before a goal counts")
    modes: int = Field(1, ge=1, le=256, description="goals, evenly spaced, any of which is a correct answer")
    trap_prior: float = Field(0.0, ge=-1000, le=1000, description="nats added to stopping early by the base policy")
    trap_reward: float = Field(0.0, ge=0, le=1, description="probability that stopping early is rewarded by luck")
    random_reward: float = Field(
        0.0, ge=0, le=1, description="probability that a coin flip replaces the verifier's reward (a control)"
    )
    skill: float = Field(1.0, ge=-1000, le=1000, description="nats added to moves on a correct path by the base policy")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.size % self.modes:
            raise ValueError(f"size {self.size} must be a multiple of modes {self.modes}")
        if self.hazard >= self.size // self.modes:
            raise ValueError(f"hazard {self.hazard} must be below size / modes = {self.size // self.modes}")
        states = 2 * (self.sparsity + 1) * self.size**2
        bounds.check_product(
            "size and horizon", {"states of the walk": states, "decisions": self.horizon}, bounds.EXACT
        )
        bounds.check_product(
            "horizon and filler", {"decisions": self.horizon, "tokens each": 1 + self.filler}, bounds.TOKENS
        )
        if self.nearest > min(self.farthest, self.horizon):
            raise ValueError(
                f"nearest {self.nearest} must not be above farthest {self.farthest} or horizon {self.horizon}"
            )
        if self.random_reward and self.trap_reward:
            raise ValueError("random_reward and trap_reward use the same draw: one of them must be 0")
        places = self.size // self.modes - self.hazard
        if self.novel_hazards and not (self.hazard and self.novel_hazards < places):
            raise ValueError(
                f"novel_hazards {self.novel_hazards} needs a hazard, and must be below its {places} places"
            )
        return self


class WalkPath(NamedTuple):
    """A response: the actions taken, and nature's draw for a lucky guess."""

    actions: tuple[int, ...]
    luck: float
    """Uniform on [0, 1); stopping early is rewarded when it is below `trap_reward`."""


class Start(NamedTuple):
    """What a walk problem hides in `Problem.answer`."""

    goal: int
    """Cells from the start to goal 0, clockwise, in [0, size)."""
    hazard: int
    """Cells from the start to the first hazard cell, clockwise, in [0, size)."""


class Walk:
    """The Markov decision process and the task on it."""

    def __init__(self, dials: WalkDials) -> None:
        self.dials = dials
        self.splits = ("train", "held_out", *(["ood_hazard"] if dials.novel_hazards else []))
        self.ending = ACTIONS if dials.fixed_length else STOP
        """Actions from this one on end a response."""
        self.max_tokens = (dials.horizon - 1) * (1 + dials.filler) + 1
        self.states = (dials.sparsity + 1) * dials.size * dials.size * 2

    # --- the Markov decision process ---

    def index(self, stage: np.ndarray, goal: np.ndarray, hazard: np.ndarray, broken: np.ndarray) -> np.ndarray:
        """State number of (waypoints passed, offset to goal 0, offset to the hazard, broken)."""
        size = self.dials.size
        return ((stage * size + goal % size) * size + hazard % size) * 2 + broken

    @cached_property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(stage, goal, hazard, broken) of every state, four [states] arrays."""
        size, number = self.dials.size, np.arange(self.states)
        return number // (2 * size * size), number // (2 * size) % size, number // 2 % size, number % 2

    def in_hazard(self, hazard: np.ndarray) -> np.ndarray:
        """Whether a walker with this offset to the first hazard cell stands in the hazard."""
        return (-hazard) % self.dials.size < self.dials.hazard

    def at_target(self, stage: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Whether the current target lies here: any goal at the last stage, else the waypoint (odd ones opposite goal 0)."""
        size, modes = self.dials.size, self.dials.modes
        waypoint = (goal + np.where((self.dials.sparsity - stage) % 2 == 1, size // 2, 0)) % size == 0
        return np.where(stage == self.dials.sparsity, goal % (size // modes) == 0, waypoint)

    @cached_property
    def transitions(self) -> np.ndarray:
        """[states, 3] next state of every action; stopping stays in place and ends the response."""
        stage, goal, hazard, broken = (x[:, None] for x in self.coordinates)
        goal, hazard = goal - MOVES, hazard - MOVES
        moved = np.array([True, True, False])
        passed = moved & (stage < self.dials.sparsity) & self.at_target(stage, goal % self.dials.size)
        return self.index(stage + passed, goal, hazard, broken | (moved & self.in_hazard(hazard)))

    @cached_property
    def stop_reward(self) -> np.ndarray:
        """[states] expected reward of stopping: 1 at a goal, `trap_reward` elsewhere, 0 once broken."""
        stage, goal, _, broken = self.coordinates
        solved = self.solved(stage, goal, broken)
        return np.where(solved, 1.0, np.where(broken == 1, 0.0, self.dials.trap_reward))

    @cached_property
    def outcome_reward(self) -> np.ndarray:
        """[states, modes + 1] 1 where stopping ends in that outcome: a right answer by goal, then an early stop unbroken."""
        stage, goal, _, broken = self.coordinates
        solved, number = self.solved(stage, goal, broken), goal // (self.dials.size // self.dials.modes)
        by_goal = solved[:, None] & (number[:, None] == np.arange(self.dials.modes))
        return np.column_stack([by_goal, ~solved & (broken == 0)]).astype(float)

    def solved(self, stage: np.ndarray, goal: np.ndarray, broken: np.ndarray) -> np.ndarray:
        """Whether stopping here is a correct answer."""
        return (stage == self.dials.sparsity) & self.at_target(stage, goal) & (broken == 0)

    @cached_property
    def correct_actions(self) -> np.ndarray:
        """[states, 3] bool, actions on a correct path: stop when solved, else any way that meets a target before the hazard."""
        stage, goal, hazard, broken = self.coordinates
        solved, cells = self.solved(stage, goal, broken), np.arange(self.dials.size)
        good = np.zeros((self.states, ACTIONS), bool)
        good[:, STOP] = solved
        target = self.at_target(np.arange(self.dials.sparsity + 1)[:, None], cells)
        for action in (LEFT, RIGHT):
            ahead = (
                cells[:, None] - MOVES[action] * cells[1:]
            ) % self.dials.size  # [offset, steps - 1], the offset then
            met, ended = _first(target[:, ahead]), _first(self.in_hazard(ahead))
            good[:, action] = (met[stage, goal] < ended[hazard]) & ~solved & (broken == 0)
        return good

    @cached_property
    def prior(self) -> np.ndarray:
        """[states, 3] logits the base policy starts from: `skill` on correct actions, `trap_prior` on stopping early."""
        stage, goal, _, broken = self.coordinates
        logits = self.dials.skill * self.correct_actions
        logits[:, STOP] += self.dials.trap_prior * ~self.solved(stage, goal, broken)
        return logits

    # --- the task ---

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """Every solvable problem with a walk to make, split 3 : 1 into train and held_out, the same on every machine.

        Those with a novel hazard make a split of their own. What lies between hazard and goal never changes along a walk,
        so no state met in one of them is ever met in training.
        """
        found = self._found()
        legal = [p for p in found if not self.is_novel(p.answer)]
        held_out = np.random.default_rng(0).permutation(len(legal)) < len(legal) // 4
        splits = {
            "train": [p for p, out in zip(legal, held_out, strict=True) if not out],
            "held_out": [p for p, out in zip(legal, held_out, strict=True) if out],
            "ood_hazard": [p for p in found if self.is_novel(p.answer)],
        }
        return {split: splits[split] for split in self.splits}

    def is_novel(self, start: "Start") -> bool:
        """Whether the hazard lies where training never has it: at one of `novel_hazards` evenly spaced places."""
        places = self.dials.size // self.dials.modes - self.dials.hazard  # where it does not cover the next goal
        number = self.dials.novel_hazards
        novel = {1 + (2 * i + 1) * places // (2 * number) for i in range(number)}
        return (start.hazard - start.goal) % (self.dials.size // self.dials.modes) in novel

    def _found(self) -> list[Problem]:
        """A problem from every start that is not broken, already solved, unsolvable, too near or too far."""
        goal, hazard = (x.ravel() for x in np.indices((self.dials.size, self.dials.size)))
        state = self.index(np.zeros_like(goal), goal, hazard, np.zeros_like(goal))
        distance, correct = self.shortest[state], self.correct_actions[state]
        near, far = self.dials.nearest, min(self.dials.farthest, self.dials.horizon)
        asked = ~self.in_hazard(hazard) & ~correct[:, STOP] & (near <= distance) & (distance <= far)
        ways = np.array(["", "l", "r", "lr"])[correct[:, LEFT] + 2 * correct[:, RIGHT]]
        columns = (x[asked].tolist() for x in (goal, hazard, ways, distance))
        return [
            Problem(f"goal {g} hazard {h}", Start(g, h), kind=way, difficulty=decisions)
            for g, h, way, decisions in zip(*columns, strict=True)
        ]

    @cached_property
    def shortest(self) -> np.ndarray:
        """[states] fewest decisions of a correct response, stop included; inf where there is none."""
        distance = np.where(self.correct_actions[:, STOP], 1.0, np.inf)
        whole = (self.coordinates[3] == 0).nonzero()[0]  # a broken walk stays broken
        left, right = self.transitions[whole, LEFT], self.transitions[whole, RIGHT]
        for _ in range(self.states):
            shorter = np.minimum(distance[whole], 1 + np.minimum(distance[left], distance[right]))
            if np.array_equal(shorter, distance[whole]):
                break
            distance[whole] = shorter
        return distance

    def start_state(self, start: Start) -> int:
        """State number in which a problem begins."""
        zero = np.zeros((), int)
        return int(self.index(zero, np.array(start.goal), np.array(start.hazard), zero))

    def start_states(self, problems: Sequence[Problem]) -> np.ndarray:
        """[N] state numbers in which problems begin."""
        goal = np.array([problem.answer.goal for problem in problems], int)
        hazard = np.array([problem.answer.hazard for problem in problems], int)
        zeros = np.zeros_like(goal)
        return self.index(zeros, goal, hazard, zeros)

    def describe(self, state: int) -> str:
        """A state in words, offsets counted clockwise from the walker as in a problem's prompt."""
        stage, goal, hazard, broken = (int(x[state]) for x in self.coordinates)
        waypoints = [f"waypoints passed {stage} of {self.dials.sparsity}"] if self.dials.sparsity else []
        return ", ".join([f"goal {goal}, hazard {hazard}", *waypoints, *(["broken"] if broken else [])])

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split: whole passes over it in random order, so they are distinct while n allows."""
        check_split(split, self.splits)
        return passes(self.problems[split], rng, n)

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A shortest correct path as letters l, r and a final full stop."""
        state, letters = self.start_state(problem.answer), []
        while not self.correct_actions[state, STOP]:
            ways = self.transitions[state, :STOP]
            action = int(np.argmin(self.shortest[ways]))
            letters.append("lr"[action])
            state = int(ways[action])
        return "".join(letters) + "." * (self.dials.horizon - len(letters) if self.dials.fixed_length else 1)

    def verify(self, problem: Problem, response: WalkPath) -> Grade:
        """1 for stopping at a goal unbroken; a lucky guess counts as the verifier sees it; mode is the goal reached.

        Where `random_reward` is above 0 a coin may replace the verdict, of training and of sampled evaluation alike; exact J
        and exact values remain those of the task. Random rewards teach nothing, so what clip-higher still does to the policy
        is its own drift (arXiv:2509.26114).
        """
        return self.verify_all([problem], [response])[0]

    def verify_all(self, problems: Sequence[Problem], responses: Sequence[WalkPath]) -> list[Grade]:
        """A grade per response, each to its own problem; all walks are followed side by side."""
        ends, ended = self._ends(problems, responses)
        stage, goal, _, broken = (x[ends] for x in self.coordinates)
        luck = np.array([response.luck for response in responses])
        lucky = luck < self.dials.trap_reward
        goals = [Grade(1.0, mode=f"goal {number}") for number in range(self.dials.modes)]
        words = [*goals, Grade(0.0, mode=GUESS), Grade(1.0, mode=GUESS), Grade(0.0, mode="truncated")]
        guess = self.dials.modes + ((broken == 0) & lucky)
        mode = np.where(self.solved(stage, goal, broken), goal // (self.dials.size // self.dials.modes), guess)
        grades = [words[i] for i in np.where(ended, mode, len(words) - 1).tolist()]
        if not self.dials.random_reward:
            return grades
        return [
            grade._replace(reward=float(2 * u < self.dials.random_reward)) if u < self.dials.random_reward else grade
            for grade, u in zip(grades, luck.tolist(), strict=True)
        ]

    def _ends(self, problems: Sequence[Problem], responses: Sequence[WalkPath]) -> tuple[np.ndarray, np.ndarray]:
        """[N] state in which each walk is left, and whether it is a response that can be judged."""
        lengths = np.array([len(response.actions) for response in responses], int)
        actions = np.full((lengths.max(initial=0), len(responses)), STOP)  # stopping stays where it is
        taken = chain.from_iterable(response.actions for response in responses)
        actions.T[np.arange(len(actions)) < lengths[:, None]] = np.fromiter(taken, int, lengths.sum())
        states, onward = self.start_states(problems), self.transitions.ravel()
        for chosen in actions:
            states = onward[ACTIONS * states + chosen]
        stopped = np.array([response.actions[-1:] == (STOP,) for response in responses], bool)
        return states, (lengths > 0) & (stopped | self.dials.fixed_length)

    def boundaries(self, response: WalkPath) -> list[int]:
        """Tokens after each move and its filler, and after stopping: every decision is a step."""
        width = 1 + self.dials.filler
        moves = sum(action < self.ending for action in response.actions)
        return [width * (i + 1) for i in range(moves)] + [width * moves + 1] * (moves < len(response.actions))


def _first(met: np.ndarray) -> np.ndarray:
    """[...] place of the first true entry of [..., n], n + 1 where there is none."""
    return np.where(met.any(-1), met.argmax(-1), met.shape[-1] + 1)
