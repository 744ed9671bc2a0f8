"""Chains of operations on small numbers, every intermediate state written: `5>3<4:` asks, `>35<44` answers.

The prompt gives a start value and steps, an operator and an operand each; a response repeats every step with the value it
leads to. A step is true or false by the few tokens beside it, hence what the rest is worth shows in the tokens.
"""

import string
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from vapo_core.settings import Frozen
from vapo_core.tasks.base import Grade, check_split
from vapo_core.tasks.drawing import FILLER, draw_problems, kept_out, length_law
from vapo_core.types import Problem

OPERATORS: dict[str, Callable[[int, int, int], int]] = {
    ">": lambda state, operand, top: max(state, operand),
    "<": lambda state, operand, top: min(state, operand),
    "~": lambda state, operand, top: (state + operand) // 2,
    "+": lambda state, operand, top: min(state + operand, top),
    "-": lambda state, operand, top: max(state - operand, 0),
}
"""Maximum, minimum, mean rounded down, and saturating plus and minus; top is the largest number there is."""

_SLIP = 0.4  # probability of a wrong value at a step of a careless demonstration
_LEAVE = 0.02  # probability that it ends before a step


class ChainDials(Frozen):
    """Dials of operation chains."""

    operators: str = Field(
        "><~", min_length=1, description="operators in training: > max, < min, ~ mean, saturating + and -"
    )
    novel_operator: str = Field(
        "+", max_length=1, description="operator of split ood_operator, never seen in training; empty = no such split"
    )
    novel_pairs: str = Field(
        "<~ ~>",
        description="pairs of consecutive operators that occur only in split ood_composition; empty = no such split",
    )
    numbers: int = Field(6, ge=3, le=10, description="values are 0 .. numbers - 1")
    shortest: int = Field(1, ge=1, le=64, description="steps of the shortest chain")
    longest: int = Field(7, ge=1, le=64, description="steps of the longest chain in training")
    farthest: int = Field(9, ge=1, le=64, description="steps of the longest chain in ood_length; longest = no split")
    skew: float = Field(
        1.3, ge=0, le=100, description="a length's share falls as steps ** -skew; 0 = all lengths equally likely"
    )
    filler: int = Field(
        0, ge=0, le=4096, description="filler tokens after every step, which add length without decisions"
    )
    glimpse: float = Field(
        0.15,
        ge=0,
        le=1,
        description="share of pretraining demonstrations from the ood splits, each split equally often",
    )
    noise: float = Field(1.0, ge=0, le=1, description="scales the errors in demonstrations; 0 = none")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        unknown = sorted(set(self.operators + self.novel_operator) - set(OPERATORS))
        if unknown:
            raise ValueError(f"operators: no operator {unknown[0]!r} (allowed: {' '.join(OPERATORS)})")
        if self.novel_operator and self.novel_operator in self.operators:
            raise ValueError(f"novel_operator {self.novel_operator!r} must not be among operators {self.operators!r}")
        if not self.shortest <= self.longest <= self.farthest:
            raise ValueError(f"need shortest {self.shortest} <= longest {self.longest} <= farthest {self.farthest}")
        pairs = self.novel_pairs.split()
        for pair in pairs:
            if len(pair) != 2 or not set(pair) <= set(self.operators):
                raise ValueError(f"novel_pairs: {pair!r} must be two of operators {self.operators!r}")
        if any(all(a + b in pairs for b in self.operators) for a in self.operators):
            raise ValueError(f"novel_pairs {self.novel_pairs!r} leave an operator that nothing may follow")
        return self


class Operations(NamedTuple):
    """What a chain problem hides in `Problem.answer`."""

    start: int
    operators: str
    operands: tuple[int, ...]

    def text(self) -> str:
        """The chain as a prompt has it."""
        return str(self.start) + "".join(o + str(x) for o, x in zip(self.operators, self.operands, strict=True))

    def states(self, top: int) -> list[int]:
        """The value after every step."""
        states = [self.start]
        for operator, operand in zip(self.operators, self.operands, strict=True):
            states.append(OPERATORS[operator](states[-1], operand, top))
        return states[1:]


class Chain:
    """Task and verifier."""

    pretraining = 4.0
    """Times the usual steps of pretraining a base model: copying each step from the prompt comes late."""

    def __init__(self, dials: ChainDials) -> None:
        self.dials = dials
        self.top = dials.numbers - 1
        self.step_width = 3 + dials.filler
        self.max_tokens = dials.farthest * self.step_width + 1
        self.pairs = dials.novel_pairs.split()
        self.values = tuple(string.digits[: dials.numbers])
        self.alphabet = "".join(self.values) + "".join(OPERATORS) + ":" + FILLER
        self.laws = self._laws()
        self.splits = tuple(self.laws)
        self._after = {"": dials.operators} | {
            a: "".join(b for b in dials.operators if a + b not in self.pairs) for a in dials.operators
        }

    def _laws(self) -> dict[str, dict[int, float]]:
        """Probability of each number of steps, for every split these dials offer."""
        dials = self.dials
        law = length_law(dials.shortest, dials.longest, dials.skew)
        laws = {"train": law, "held_out": law}
        if dials.farthest > dials.longest:
            laws["ood_length"] = length_law(dials.longest + 1, dials.farthest, 0.0)
        if dials.novel_operator:
            laws["ood_operator"] = law
        if self.pairs and dials.longest > 1:
            laws["ood_composition"] = length_law(max(2, dials.shortest), dials.longest, dials.skew)
        return laws

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split; lengths follow the training law wherever length is not what is novel."""
        check_split(split, self.splits)
        return self._drawn(rng, n, split, seen=split == "train")

    def lessons(self, rng: np.random.Generator, n: int) -> list[Problem]:
        """n problems for pretraining: of `train`, and a glimpse of every novelty, yet no problem that any split tests."""
        novel = [split for split in self.splits if split.startswith("ood_")]
        glimpses = int(rng.binomial(n, self.dials.glimpse)) if novel else 0
        rare = [self._drawn(rng, 1, novel[int(rng.integers(len(novel)))], seen=True)[0] for _ in range(glimpses)]
        return self._drawn(rng, n - glimpses, "train", seen=True) + rare

    def _drawn(self, rng: np.random.Generator, n: int, split: str, seen: bool) -> list[Problem]:
        """n problems of a split's kind, from those a model may see or from the quarter that is kept out."""
        return draw_problems(
            rng,
            n,
            self.laws[split],
            lambda steps: self.problem(self.draw(rng, steps, split)),
            lambda problem: kept_out(problem.answer.text()) != seen,
        )

    def draw(self, rng: np.random.Generator, steps: int, split: str) -> Operations:
        """A random chain that is novel in the way of its split and in no other."""
        start, *operands = rng.integers(self.dials.numbers, size=steps + 1).tolist()
        return Operations(start, self._operators(rng, steps, split), tuple(operands))

    def _operators(self, rng: np.random.Generator, steps: int, split: str) -> str:
        chosen = ""
        for _ in range(steps):
            allowed = self._after[chosen[-1:]]
            chosen += allowed[int(rng.integers(len(allowed)))]
        if split == "ood_operator":
            at = int(rng.integers(steps))
            return chosen[:at] + self.dials.novel_operator + chosen[at + 1 :]
        if split == "ood_composition":
            at, pair = int(rng.integers(steps - 1)), self.pairs[int(rng.integers(len(self.pairs)))]
            return chosen[:at] + pair + chosen[at + 2 :]
        return chosen

    def problem(self, chain: Operations) -> Problem:
        """The chain as a problem."""
        steps = len(chain.operators)
        return Problem(f"{chain.text()}:", chain, kind=f"{steps} steps", difficulty=float(steps))

    def step(self, operator: str, operand: int, state: int) -> str:
        """One written step."""
        return f"{operator}{operand}{state}{FILLER * self.dials.filler}"

    def solution(self, chain: Operations) -> str:
        """The one right response."""
        return "".join(map(self.step, chain.operators, chain.operands, chain.states(self.top)))

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A chain that goes on from a wrong value or ends early now and then."""
        chain: Operations = problem.answer
        state, text = chain.start, []
        for operator, operand in zip(chain.operators, chain.operands, strict=True):
            if rng.random() < _LEAVE * self.dials.noise:
                break
            state = OPERATORS[operator](state, operand, self.top)
            if rng.random() < _SLIP * self.dials.noise:
                state = int(rng.integers(self.dials.numbers))
            text.append(self.step(operator, operand, state))
        return "".join(text)

    def verify(self, problem: Problem, response: str) -> Grade:
        """1 if every step is written and true; mode is `reasoned`, or what went wrong: `slip`, `unfinished`, `overrun`."""
        if not self.readable(response):
            return Grade(0.0, parsed=False)
        truth = self.solution(problem.answer)
        if response == truth:
            return Grade(1.0, mode="reasoned")
        if truth.startswith(response):
            return Grade(0.0, mode="unfinished")
        return Grade(0.0, mode="overrun" if response.startswith(truth) else "slip")

    def readable(self, steps: str) -> bool:
        """Whether a text is a run of steps: operator, operand, value, filler."""
        width, filler = self.step_width, FILLER * self.dials.filler
        if len(steps) % width or len(steps) > self.max_tokens:
            return False
        parts = (steps[i : i + width] for i in range(0, len(steps), width))
        numbers = self.values
        return all(p[0] in OPERATORS and p[1] in numbers and p[2] in numbers and p[3:] == filler for p in parts)

    def boundaries(self, response: str) -> list[int]:
        """Character positions after each whole step."""
        return list(range(self.step_width, len(response) + 1, self.step_width))
