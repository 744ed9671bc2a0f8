"""Group-sampling: few prompts, many answers each, the same number of responses (VAPO, section 4.3).

Slot: a `SamplingPlan` (prompts, answers). Off: every response has a prompt of its own. The limitations
paper (Shao et al. 2025, "Towards Analyzing and Understanding the Limitations of VAPO: A Theoretical Perspective") reads the
component as batches grouped by problem type or difficulty; that reading is in VARIANTS.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from vapo_core.settings import Settings
from vapo_core.types import Problem


class SamplingPlan(NamedTuple):
    """P prompts and G answers each; B = P * G."""

    prompts: int
    answers: int

    def order(self, pool: Sequence[Problem], rng: np.random.Generator) -> np.ndarray:
        """One pass over the pool as indices; steps take consecutive prompts from consecutive passes."""
        return rng.permutation(len(pool))


def on(settings: Settings) -> SamplingPlan:
    """512 prompts x 16 answers in the paper."""
    return SamplingPlan(settings.responses_per_step // settings.group_size, settings.group_size)


def off(settings: Settings) -> SamplingPlan:
    """8192 prompts x 1 answer in the paper."""
    return SamplingPlan(settings.responses_per_step, 1)


def _grouped(settings: Settings, label: Callable[[Sequence[Problem]], np.ndarray]) -> SamplingPlan:
    """A plan whose pass over the pool keeps problems of one label together, labels in random order."""

    class Grouped(SamplingPlan):
        def order(self, pool: Sequence[Problem], rng: np.random.Generator) -> np.ndarray:
            shuffled = rng.permutation(len(pool))
            names, labels = np.unique(label(pool), return_inverse=True)
            rank = rng.permutation(len(names))
            return shuffled[np.argsort(rank[labels[shuffled]], kind="stable")]

    return Grouped(*on(settings))


def by_type(settings: Settings) -> SamplingPlan:
    """As the limitations paper (Shao et al. 2025) reads it: consecutive prompts share a problem type (`Problem.kind`)."""
    return _grouped(settings, lambda pool: np.array([problem.kind for problem in pool]))


def by_difficulty(settings: Settings) -> SamplingPlan:
    """As the limitations paper (Shao et al. 2025) reads it: consecutive prompts share a band of `Problem.difficulty`."""

    def band(pool: Sequence[Problem]) -> np.ndarray:
        _, place, ties = np.unique([problem.difficulty for problem in pool], return_inverse=True, return_counts=True)
        rank = (ties.cumsum() - (ties - 1) / 2)[place]  # ties share their mean rank, 1 .. n
        return np.floor(settings.difficulty_bands * (rank - 0.5) / len(pool)).astype(int)

    return _grouped(settings, band)


VARIANTS = {"by_type": by_type, "by_difficulty": by_difficulty}
