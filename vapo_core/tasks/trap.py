"""A trap: a short plausible guess competes with long reasoning. `5>3a<7b?4:` asks for the value of a chain and offers 4.

A response is the value after `=`, with the chain's steps before it or without: `=4` guesses, `a5b5=5` reasons. The offer
is right with a known probability, so what guessing can earn is a dial and no policy can improve on it; reasoning can earn 1.
How deep the trap is, is the share of demonstrations that take the offer.
"""

import numpy as np
from pydantic import Field

from vapo_core.settings import Frozen
from vapo_core.tasks.base import Grade, check_split
from vapo_core.tasks.chain import Chain, ChainDials, Operations
from vapo_core.tasks.drawing import draw_problems, kept_out
from vapo_core.types import Problem


class TrapDials(Frozen):
    """Dials of the trap."""

    guess_share: float = Field(0.7, ge=0, le=0.98, description="share of demonstrations that guess: the trap's prior")
    guess_right: float = Field(0.3, ge=0, le=1, description="probability that the offered value is right")
    numbers: int = Field(10, ge=3, le=10, description="values are 0 .. numbers - 1")
    shortest: int = Field(2, ge=1, le=26, description="steps of the shortest chain")
    longest: int = Field(5, ge=1, le=26, description="steps of the longest chain in training")
    farthest: int = Field(8, ge=1, le=26, description="steps of the longest chain in ood_length; longest = no split")
    filler: int = Field(0, ge=0, description="filler tokens after every step: length without decisions")
    noise: float = Field(1.0, ge=0, le=1, description="how careless reasoned demonstrations are; 0 = always right")


class Bet(Operations):
    """A chain with the value that is offered for it."""


class Trap:
    """Task and verifier."""
