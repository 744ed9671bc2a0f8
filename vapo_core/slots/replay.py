"""What the critic is shown after an update besides the step's own responses: nothing, or places the policy comes to rarely.

No part of any named recipe: `rare` is the twin run that a question about forgetting compares with.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from vapo_core.oracles.monte_carlo import continue_all
from vapo_core.oracles.rare_places import Panels, panels, replayable
from vapo_core.seeds import Seeds, child
from vapo_core.settings import Settings
from vapo_core.types import Batch, Problem


class Trainable(Protocol):
    """A network with its optimiser."""

    module: nn.Module

    def step(self) -> float:
        """Take an optimiser step with the gradients that have accumulated, and clear them."""
        ...


Replay = Callable[[Any, Sequence[Problem], Settings, Trainable, Seeds, int], int]
"""(world, training problems, settings, critic, seeds, RL steps finished) -> tokens sampled; called after each update."""

PLACES = 64
"""Rare places replayed per RL step."""


def no_replay(
    world: Any, pool: Sequence[Problem], settings: Settings, critic: Trainable, seeds: Seeds, step: int
) -> int:
    """The critic learns from the step's responses alone."""
    return 0


class RareReplay:
    """One critic step per RL step on fresh results from places that the starting policy seldom reached.

    The places are the panel `rare` of `oracles/rare_places.py` in half of its prompts (`replayable`), so that the others
    show what was learned and not memorised; the target is the result of one continuation by the present policy, so its
    expectation is V there. The policy is not trained on it. Without such places nothing is done.
    """

    def __init__(self) -> None:
        self._panels: Panels | None = None  # the same at every step, so a resumed run finds them again

    def __call__(
        self, world: Any, pool: Sequence[Problem], settings: Settings, critic: Trainable, seeds: Seeds, step: int
    ) -> int:
        """Replay a few places; returns the tokens sampled."""
        fixed = self._panels = self._panels or panels(pool, world.start(), seeds)
        rng = np.random.default_rng(child(seeds.sampling, step, 2))
        chosen = rng.permutation(replayable(fixed).nonzero()[0])[:PLACES]
        if not len(chosen):
            return 0
        row, time = fixed.row[chosen], fixed.time[chosen]
        seed = child(seeds.sampling, step, 3)
        found = continue_all(world, fixed.rollout, fixed.problems, row, time, 1, seed)
        low, high = settings.reward_low, settings.reward_high
        batch = Batch.ungraded(fixed.rollout).take(torch.from_numpy(row).to(fixed.rollout.mask.device))
        values = critic.module(batch)[torch.arange(len(row)), torch.from_numpy(time)]
        targets = torch.from_numpy(low + (high - low) * found.returns[:, 0]).to(values)
        (0.5 * (values - targets).square().mean()).backward()
        critic.step()
        return found.tokens


def default(settings: Settings) -> Replay:
    """The identity."""
    return no_replay


def rare(settings: Settings) -> Replay:
    """See `RareReplay`."""
    return RareReplay()


VARIANTS: Mapping[str, Callable[[Settings], Replay]] = {"rare": rare}
