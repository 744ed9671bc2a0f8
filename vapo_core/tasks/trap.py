"""A trap: a short plausible guess competes with long reasoning. `5>3<4?2:` asks for the value of a chain and offers 2.

A response is the value after `=`, with the chain's steps before it or without: `=2` guesses, `>35<44=4` reasons. The offer
is right with a known probability, so what guessing earns is a dial; reasoning can earn 1. How deep the trap is, is the
share of demonstrations that take the offer.
"""

from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from vapo_core.settings import Frozen
from vapo_core.tasks.base import GUESS, SKIPPED, Grade, check_split
from vapo_core.tasks.chain import Chain, ChainDials, Operations
from vapo_core.tasks.drawing import draw_problems, kept_out
from vapo_core.types import Problem


class TrapDials(Frozen):
    """Dials of the trap."""

    guess_share: float = Field(0.7, ge=0, le=0.98, description="share of demonstrations that guess: the trap's prior")
    guess_right: float = Field(0.2, ge=0, le=1, description="probability that the offered value is right")
    numbers: int = Field(6, ge=3, le=10, description="values are 0 .. numbers - 1")
    shortest: int = Field(3, ge=1, le=26, description="steps of the shortest chain")
    longest: int = Field(3, ge=1, le=26, description="steps of the longest chain in training")
    farthest: int = Field(5, ge=1, le=26, description="steps of the longest chain in ood_length; longest = no split")
    filler: int = Field(
        0, ge=0, le=4096, description="filler tokens after every step, which add length without decisions"
    )
    noise: float = Field(0.5, ge=0, le=1, description="scales the errors in reasoned demonstrations; 0 = none")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.shortest <= self.longest <= self.farthest:
            raise ValueError(f"need shortest {self.shortest} <= longest {self.longest} <= farthest {self.farthest}")
        return self


class Bet(NamedTuple):
    """What a trap problem hides in `Problem.answer`."""

    chain: Operations
    offer: int
    """The value a guess would say."""


class Trap:
    """Task and verifier."""

    pretraining = 3.0
    """Times the usual steps of pretraining a base model: few demonstrations show reasoning."""

    def __init__(self, dials: TrapDials) -> None:
        self.dials = dials
        shared = {name: getattr(dials, name) for name in TrapDials.model_fields if name in ChainDials.model_fields}
        self.chain = Chain(ChainDials(**shared, skew=0.0, novel_operator="", novel_pairs=""))
        self.splits = self.chain.splits
        self.alphabet = self.chain.alphabet + "?="
        self.step_width = self.chain.step_width
        self.max_tokens = self.chain.max_tokens + 2

    def sample(self, rng: np.random.Generator, n: int, split: str) -> list[Problem]:
        """n problems of a split; a chain of training is offered no second time elsewhere with another value."""
        check_split(split, self.splits)
        trained = split == "train"
        return draw_problems(
            rng,
            n,
            self.chain.laws[split],
            lambda steps: self._problem(rng, self.chain.draw(rng, steps, split)),
            lambda problem: kept_out(problem.answer.chain.text()) != trained,
        )

    def _problem(self, rng: np.random.Generator, chain: Operations) -> Problem:
        """The chain with an offer: the truth with the dial's probability, else any other value."""
        truth, numbers = chain.states(self.chain.top)[-1], self.dials.numbers
        other = (truth + 1 + int(rng.integers(numbers - 1))) % numbers
        bet = Bet(chain, truth if rng.random() < self.dials.guess_right else other)
        plain = self.chain.problem(chain)
        return Problem(f"{plain.prompt[:-1]}?{bet.offer}:", bet, plain.kind, plain.difficulty)

    def demonstration(self, problem: Problem, rng: np.random.Generator) -> str:
        """The offer, or a careless chain that ends with the value it reached."""
        bet: Bet = problem.answer
        if rng.random() < self.dials.guess_share:
            return f"={bet.offer}"
        steps = self.chain.demonstration(self.chain.problem(bet.chain), rng)
        reached = steps[2 - self.step_width] if steps else str(bet.offer)
        return f"{steps}={reached}"

    def verify(self, problem: Problem, response: str) -> Grade:
        """1 if the value is right and no written step is false.

        The mode is `guess` without steps, `reasoned` with all steps and everything true, `skipped` with true steps but
        not all of them, `flawed` where reasoning went wrong. Only `reasoned` and `flawed` are reasoning.
        """
        steps, value = response[:-2], response[-2:]
        if value[:1] != "=" or value[1:] not in self.chain.values or not self.chain.readable(steps):
            return Grade(0.0, parsed=False)
        bet: Bet = problem.answer
        truth = self.chain.solution(bet.chain)
        right = value[1:] == str(bet.chain.states(self.chain.top)[-1])
        if not steps:
            return Grade(float(right), mode=GUESS)
        if steps == truth:
            return Grade(float(right), mode="reasoned" if right else "flawed")
        return Grade(float(right), mode=SKIPPED) if truth.startswith(steps) else Grade(0.0, mode="flawed")

    def boundaries(self, response: str) -> list[int]:
        """Character positions after each whole step before the value."""
        return self.chain.boundaries(response.partition("=")[0])
