"""Which problems a step trains on: consecutive slices of shuffled passes over a finite pool, a pure function of the step."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vapo_core.components.group_sampling import SamplingPlan
from vapo_core.seeds import child
from vapo_core.types import Problem


class Prompts(Protocol):
    """Prompts number 0, 1, 2, ..."""

    def take(self, first: int, count: int) -> list[Problem]:
        """Prompts first .. first + count - 1."""
        ...


class PromptStream:
    """Prompts number 0, 1, 2, ... of a run; any slice can be asked for, so resuming needs no state."""

    def __init__(self, pool: Sequence[Problem], plan: SamplingPlan, seed: int) -> None:
        self.pool, self.plan, self.seed = pool, plan, seed
        self._passes: dict[int, np.ndarray] = {}

    def take(self, first: int, count: int) -> list[Problem]:
        """Prompts first .. first + count - 1 of the run."""
        size = len(self.pool)
        return [self.pool[self._order(i // size)[i % size]] for i in range(first, first + count)]

    def _order(self, number: int) -> np.ndarray:
        """The order of one pass; only the latest passes are kept."""
        if number not in self._passes:
            self._passes = {k: v for k, v in self._passes.items() if k >= number - 1}
            self._passes[number] = self.plan.order(self.pool, np.random.default_rng(child(self.seed, number)))
        return self._passes[number]
