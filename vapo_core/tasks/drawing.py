"""How procedural tasks draw: lengths by a law, splits by a checksum of the problem, repeats only where they must be."""

import zlib
from collections.abc import Callable, Mapping

import numpy as np

from vapo_core.types import Problem

FILLER = "."
"""The character that lengthens a step without deciding anything."""

_SEARCH = 2000  # draws for a problem of a split before concluding that there is none
_NOVELTY = 8  # draws that bring only repeats before one is taken


def kept_out(key: str) -> bool:
    """Whether the problem of this text is never trained on: one in four, the same on every machine and for every seed."""
    return zlib.crc32(key.encode()) % 4 == 0


def length_law(shortest: int, longest: int, skew: float) -> dict[int, float]:
    """Probability of each length, proportional to length ** -skew: 0 is uniform, 1 equal in every octave."""
    weights = np.arange(shortest, longest + 1, dtype=float) ** -skew
    return {shortest + i: float(p) for i, p in enumerate(weights / weights.sum())}


def draw_problems(
    rng: np.random.Generator,
    n: int,
    law: Mapping[int, float],
    draw: Callable[[int], Problem],
    belongs: Callable[[Problem], bool],
) -> list[Problem]:
    """n problems, lengths by the law exactly, distinct as far as each length has enough.

    Args:
        law: probability of each length.
        draw: makes a random problem of a length.
        belongs: whether a problem is of the wanted split.

    Raises:
        ValueError: if problems of some length never belong.
    """
    seen: set[str] = set()
    lengths = rng.choice(list(law), size=n, p=list(law.values()))
    return [_fresh(int(length), draw, belongs, seen) for length in lengths]


def _fresh(length: int, draw: Callable[[int], Problem], belongs: Callable[[Problem], bool], seen: set[str]) -> Problem:
    """A problem that belongs, and a new one if a few draws bring one."""
    found: list[Problem] = []
    for _ in range(_SEARCH):
        problem = draw(length)
        if not belongs(problem):
            continue
        found.append(problem)
        if problem.prompt not in seen or len(found) == _NOVELTY:
            break
    if not found:
        raise ValueError(f"length {length}: no problem of this split in {_SEARCH} draws")
    seen.add(found[-1].prompt)
    return found[-1]
