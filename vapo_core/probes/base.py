"""A probe's input and output. Probes are read-only: weights and random state do not change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol

import numpy as np

from vapo_core.recipe import Recipe
from vapo_core.seeds import Seeds, child, named
from vapo_core.settings import Settings
from vapo_core.training.learner import Learner
from vapo_core.types import Problem
from vapo_core.worlds.base import Reference, World


class CannotRun(Exception):
    """A probe cannot measure here; its metrics are left out and the reason is printed once."""


@dataclass(frozen=True)
class View:
    """A run as a probe sees it."""

    world: World
    recipe: Recipe
    settings: Settings
    seeds: Seeds
    step: int
    """RL steps finished."""
    pool: list[Problem]
    """The training problems."""
    held_out: list[Problem]
    """The evaluation problems."""
    policy: Learner
    """The policy with its optimiser, to be copied before it is stepped."""
    critic: Learner
    """The critic with its optimiser, likewise."""
    reference: Reference | None
    """The policy that a KL penalty holds to, where there is one."""

    def seed(self, stream: str, *path: int) -> int:
        """A seed for a probe's draws, the same at every step, so that changes along a run are not resampling noise.

        Args:
            stream: `probe/purpose`; streams of different names are independent.
            path: numbers of draws within the stream.
        """
        return child(self.seeds.evaluation, named(stream), *path)


@dataclass(frozen=True)
class Measurement:
    """What a probe found."""

    metrics: Mapping[str, float]
    """Scalars for the log; names as in `metrics.METRICS`."""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Columns of numbers, equally long, for probes.parquet."""


class Probe(Protocol):
    """One file in this folder."""

    def __call__(self, view: View) -> Measurement:
        """Measure; raises CannotRun when there is nothing to measure."""
        ...


def named_by(name: str, measure: Callable[[View], Any]) -> Probe:
    """A probe from somebody's own function, which may return a number, numbers by name, or a Measurement.

    A number is the metric `name`, numbers are the metrics `name/...`.

    Raises (when called):
        ValueError: naming the probe, if it returns anything else.
    """

    def probe(view: View) -> Measurement:
        found = measure(view)
        if isinstance(found, Measurement):
            return found
        numbers = {name: found} if not isinstance(found, Mapping) else {f"{name}/{key}": x for key, x in found.items()}
        wrong = [x for x in numbers.values() if not isinstance(x, Real)]
        if wrong:
            raise ValueError(f"probe {name} returned {wrong[0]!r:.80}; allowed are numbers, by name, or a Measurement")
        return Measurement({key: float(x) for key, x in numbers.items()})

    return probe
