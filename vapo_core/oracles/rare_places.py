"""Places that the starting policy reached rarely, often, or at which its value changed most: fixed sets to follow a critic on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from vapo_core.oracles.monte_carlo import pick_places, values_at
from vapo_core.seeds import Seeds, child
from vapo_core.types import Problem, Rollout

RESPONSES = 256
"""Answers of the starting policy to training problems."""

PLACES = 160
"""Places in them on text; every place where values are exact. The last token of an answer is none: nothing is left to
learn there."""

SELECTING = 8
"""Continuations under the starting policy that choose the critical places."""

SHARE = 0.2
"""Of the places, how many are in a panel."""

STREAM = 99
"""First number of the draws' path under the evaluation seed, theirs alone."""


class Panels(NamedTuple):
    """Places of the starting policy. N places in B responses."""

    problems: list[Problem]
    rollout: Rollout
    row: np.ndarray
    time: np.ndarray
    members: dict[str, np.ndarray]
    """[N] bool by panel; a panel may be empty."""

    @property
    def prompts(self) -> np.ndarray:
        """[N] prompt of each place."""
        return np.array([problem.prompt for problem in self.problems])[self.row]


def panels(pool: Sequence[Problem], start: Any, seeds: Seeds) -> Panels:
    """The same places at every step, since they follow from the starting policy and seeds that no step enters.

    Rare and frequent: the SHARE least and most often reached among places at the same token, for both that policy; matched
    in position, or rare would mean late. Critical: the SHARE with the largest |V after the next token - V before it| under
    that policy, estimated from continuations of its own, so that choosing does not favour what measuring finds.

    Args:
        pool: the training problems.
        start: the world before anything was trained.
        seeds: the run's.
    """

    def seed(*path: int) -> int:
        return child(seeds.evaluation, STREAM, *path)

    problems = [pool[i % len(pool)] for i in range(RESPONSES)]
    rollout = start.engine.generate(problems, 1, seed(20))
    lasting = rollout.mask & torch.nn.functional.pad(rollout.mask[:, 1:], (0, 1))
    exact = start.exact_at(rollout, np.zeros(1, int), np.zeros(1, int)) is not None
    row, time = pick_places(lasting, int(lasting.sum()) if exact else PLACES, np.random.default_rng(seed(21)))
    rank = standing(start.reach(problems, rollout).cpu().numpy()[row, time], time)
    before, after = (
        values_at(start, rollout, problems, row, time + later, SELECTING, seed(22, later))[0] for later in (0, 1)
    )
    change = standing(np.abs(after - before), np.zeros(len(time)))
    members = {"rare": rank < SHARE, "frequent": rank > 1 - SHARE, "critical": change > 1 - SHARE}
    return Panels(problems, rollout, row, time, members)


def replayable(fixed: Panels) -> np.ndarray:
    """[N] bool, rare places of every other prompt: all that a twin run may rehearse; the rest show what it learned.

    By prompts, since places of one response nearly tell each other's values. None rest where one prompt has them all.
    """
    rare = fixed.members["rare"]
    return rare & np.isin(fixed.prompts, np.unique(fixed.prompts[rare])[::2])


def standing(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """[N] share of the same group that is smaller, ties counted half: in (0, 1), 0.5 where all are equal."""
    found = np.empty(len(x))
    for label in np.unique(group):
        inside = group == label
        own, others = x[inside][:, None], x[inside][None, :]
        found[inside] = (others < own).mean(1) + (others == own).mean(1) / 2
    return found
