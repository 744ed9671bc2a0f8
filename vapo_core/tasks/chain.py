"""Chains of operations on small numbers, every intermediate state written: `5>3a<7b:` asks, `a5b5` answers.

The prompt gives a start value and steps, each an operator, an operand and a label; a response repeats every label with
the value reached. Labels are consecutive letters from a random one, so a longer chain holds no unseen token. Each
operator's result depends on the state before it, hence what the rest is worth shows in the tokens.
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

LABELS = string.ascii_lowercase

_SLIP = 0.12  # probability of a wrong value at a step of a careless demonstration
_LEAVE = 0.02  # probability that it ends before a step


class ChainDials(Frozen):
    """Dials of operation chains."""

    operators: str = Field("><~", min_length=1, description="operators of training: > max, < min, ~ mean, saturating + -")
    novel_operator: str = Field("+", max_length=1, description="operator of ood_operator, never trained; empty = no split")
    novel_pairs: tuple[str, ...] = Field(
        ("<~", "~>"), description="operators in sequence that only ood_composition has; none = no split"
    )
    numbers: int = Field(10, ge=3, le=10, description="values are 0 .. numbers - 1")
    shortest: int = Field(1, ge=1, le=26, description="steps of the shortest chain")
    longest: int = Field(8, ge=1, le=26, description="steps of the longest chain in training")
    farthest: int = Field(12, ge=1, le=26, description="steps of the longest chain in ood_length; longest = no split")
    skew: float = Field(1.0, ge=0, description="share of a length falls as steps ** -skew; 0 = all lengths alike")
    filler: int = Field(0, ge=0, description="filler tokens after every step: length without decisions")
    noise: float = Field(1.0, ge=0, le=1, description="how careless demonstrations are; 0 = always right")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        unknown = sorted(set(self.operators + self.novel_operator) - set(OPERATORS))
        if unknown:
            raise ValueError(f"operators: no operator {unknown[0]!r} (allowed: {' '.join(OPERATORS)})")
        if self.novel_operator and self.novel_operator in self.operators:
            raise ValueError(f"novel_operator {self.novel_operator!r} must not be among operators {self.operators!r}")
        if not self.shortest <= self.longest <= self.farthest:
            raise ValueError(f"need shortest {self.shortest} <= longest {self.longest} <= farthest {self.farthest}")
        for pair in self.novel_pairs:
            if len(pair) != 2 or not set(pair) <= set(self.operators):
                raise ValueError(f"novel_pairs: {pair!r} must be two of operators {self.operators!r}")
        if any(all(a + b in self.novel_pairs for b in self.operators) for a in self.operators):
            raise ValueError(f"novel_pairs {self.novel_pairs} leave an operator that nothing may follow")
        return self


class Operations(NamedTuple):
    """What a chain problem hides in `Problem.answer`."""

    start: int
    operators: str
    operands: tuple[int, ...]
    labels: str

    def text(self) -> str:
        """The chain without its labels, which are no part of what is asked."""
        return str(self.start) + "".join(o + str(x) for o, x in zip(self.operators, self.operands, strict=True))

    def states(self, top: int) -> list[int]:
        """The value after every step."""
        states = [self.start]
        for operator, operand in zip(self.operators, self.operands, strict=True):
            states.append(OPERATORS[operator](states[-1], operand, top))
        return states[1:]


class Chain:
    """Task and verifier."""

    def __init__(self, dials: ChainDials) -> None:
        self.dials = dials
        self.top = dials.numbers - 1
        self.step_width = 2 + dials.filler
        self.max_tokens = dials.farthest * self.step_width + 1
        self.alphabet = string.digits[: dials.numbers] + "".join(OPERATORS) + LABELS + ":" + FILLER
        self.laws = self._laws()
        self.splits = tuple(self.laws)
        self._after = {"": dials.operators} | {
            a: "".join(b for b in dials.operators if a + b not in dials.novel_pairs) for a in dials.operators
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
        if dials.novel_pairs and dials.longest > 1:
            laws["ood_composition"] = length_law(max(2, dials.shortest), dials.longest, dials.skew)
        return laws

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split; lengths follow the training law wherever length is not what is novel."""
        check_split(split, self.splits)
        trained = split == "train"
        return draw_problems(
            rng,
            n,
            self.laws[split],
            lambda steps: self.problem(self.draw(rng, steps, split)),
            lambda problem: kept_out(problem.answer.text()) != trained,
        )

    def draw(self, rng: np.random.Generator, steps: int, split: str) -> Operations:
        """A random chain that is novel in the way of its split and in no other."""
        numbers, first = rng.integers(self.dials.numbers, size=steps + 1).tolist(), int(rng.integers(len(LABELS)))
        labels = "".join(LABELS[(first + i) % len(LABELS)] for i in range(steps))
        return Operations(numbers[0], self._operators(rng, steps, split), tuple(numbers[1:]), labels)

    def _operators(self, rng: np.random.Generator, steps: int, split: str) -> str:
        chosen = ""
        for _ in range(steps):
            allowed = self._after[chosen[-1:]]
            chosen += allowed[int(rng.integers(len(allowed)))]
        if split == "ood_operator":
            at = int(rng.integers(steps))
            return chosen[:at] + self.dials.novel_operator + chosen[at + 1 :]
        if split == "ood_composition":
            at, pair = int(rng.integers(steps - 1)), self.dials.novel_pairs[int(rng.integers(len(self.dials.novel_pairs)))]
            return chosen[:at] + pair + chosen[at + 2 :]
        return chosen

    def problem(self, chain: Operations) -> Problem:
        """The chain as a problem."""
        steps = zip(chain.operators, chain.operands, chain.labels, strict=True)
        prompt = str(chain.start) + "".join(f"{o}{x}{label}" for o, x, label in steps) + ":"
        return Problem(prompt, chain, kind=f"{len(chain.labels)} steps", difficulty=float(len(chain.labels)))

    def step(self, label: str, state: int) -> str:
        """One written step."""
        return f"{label}{state}{FILLER * self.dials.filler}"

    def solution(self, chain: Operations) -> str:
        """The one right response."""
        return "".join(map(self.step, chain.labels, chain.states(self.top)))

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """A chain that goes on from a wrong value or ends early now and then."""
        chain: Operations = problem.answer
        state, text = chain.start, []
        for operator, operand, label in zip(chain.operators, chain.operands, chain.labels, strict=True):
            if rng.random() < _LEAVE * self.dials.noise:
                break
            state = OPERATORS[operator](state, operand, self.top)
            if rng.random() < _SLIP * self.dials.noise:
                state = int(rng.integers(self.dials.numbers))
            text.append(self.step(label, state))
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
        """Whether a text is a run of steps: label, value, filler."""
        width, filler = self.step_width, FILLER * self.dials.filler
        if len(steps) % width or len(steps) > self.max_tokens:
            return False
        parts = (steps[i : i + width] for i in range(0, len(steps), width))
        values = self.alphabet[: self.dials.numbers]
        return all(part[0] in LABELS and part[1] in values and part[2:] == filler for part in parts)

    def boundaries(self, response: str) -> list[int]:
        """Character positions after each whole step."""
        return list(range(self.step_width, len(response) + 1, self.step_width))
