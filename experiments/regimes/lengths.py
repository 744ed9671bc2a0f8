"""Three lengths of the walk, made of decisions: more cells and more waypoints to pass, never filler tokens.

The base policy's skill is set so that its exact J is about the same at every length. So length is not mixed up with how rare
a right answer is; that is a choice of its own, `EASY` or `HARD`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

EASY, HARD = "easy", "hard"
"""The base policy answers about one problem in 35 correctly, or about one in 330."""

BASE_J: dict[str, float] = {EASY: 0.028, HARD: 0.003}
"""Exact J of the base policy, mean over held-out problems; within a third of it at every length and width (seeds 700, 701)."""


class Length(NamedTuple):
    """One length of the walk."""

    name: str
    dials: Mapping[str, Any]
    decisions: int
    """Of the shortest right answer, mean over held-out problems."""
    skill: Mapping[str, float]
    """The dial `skill`: nats by which the base policy prefers moves on a correct path."""

    def at(self, start: str) -> dict[str, Any]:
        """Dials of the walk at this length, from an easy or a hard start."""
        return {**self.dials, "skill": self.skill[start]}


LENGTHS: tuple[Length, ...] = (
    Length("short", {"size": 16, "horizon": 48}, 7, {EASY: 0.05, HARD: -1.0}),
    Length("middle", {"size": 24, "horizon": 120, "sparsity": 2}, 33, {EASY: 2.2, HARD: 1.73}),
    Length("long", {"size": 64, "horizon": 300, "sparsity": 3}, 118, {EASY: 3.5, HARD: 3.0}),
)
"""By name, from short to long."""
