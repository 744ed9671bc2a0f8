"""What the critic is shown after an update besides the step's own responses: nothing, or places the policy comes to rarely.

No part of any named recipe: `rare` is the twin run that a question about forgetting compares with.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from vapo_core.oracles.monte_carlo import continue_all
from vapo_core.seeds import child
from vapo_core.settings import Settings
from vapo_core.types import Batch

if TYPE_CHECKING:
    from vapo_core.probes.base import View
    from vapo_core.probes.forgetting import Panels

Replay = Callable[["View"], int]
"""Called once per RL step, after the update; returns the tokens it sampled."""

PLACES = 64
"""Rare places rehearsed per RL step."""


def no_replay(view: "View") -> int:
    """The critic learns from the step's responses alone."""
    return 0


class RareReplay:
    """One critic step per RL step on fresh results from places that the starting policy seldom reached.

    The places are those of probe `forgetting`, panel `rare`, in half of its prompts (`replayable`), so that the others
    show what was learned and not memorised; the target is the result of one continuation by the present policy, so its
    expectation is V there. The policy is not trained on it. Without such places nothing is done.
    """

    def __init__(self) -> None:
        self._panels: Panels | None = None  # the same at every step, so a resumed run finds them again

    def __call__(self, view: "View") -> int:
        """Rehearse; returns the tokens sampled."""
        from vapo_core.probes.forgetting import panels, replayable  # a probe's view holds a recipe, which holds this

        fixed = self._panels = self._panels or panels(view, view.world.start())
        rng = np.random.default_rng(child(view.seeds.sampling, view.step, 2))
        chosen = rng.permutation(replayable(fixed).nonzero()[0])[:PLACES]
        if not len(chosen):
            return 0
        row, time = fixed.row[chosen], fixed.time[chosen]
        seed = child(view.seeds.sampling, view.step, 3)
        found = continue_all(view.world, fixed.rollout, fixed.problems, row, time, 1, seed)
        low, high = view.settings.reward_low, view.settings.reward_high
        batch = Batch.ungraded(fixed.rollout).take(torch.from_numpy(row).to(fixed.rollout.mask.device))
        values = view.critic.module(batch)[torch.arange(len(row)), torch.from_numpy(time)]
        targets = torch.from_numpy(low + (high - low) * found.returns[:, 0]).to(values)
        (0.5 * (values - targets).square().mean()).backward()
        view.critic.step()
        return found.tokens


def default(settings: Settings) -> Replay:
    """The identity."""
    return no_replay


def rare(settings: Settings) -> Replay:
    """See `RareReplay`."""
    return RareReplay()


VARIANTS: Mapping[str, Callable[[Settings], Replay]] = {"rare": rare}
