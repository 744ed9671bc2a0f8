"""Exact values on the walk: backward induction over the states that can be reached, one decision at a time.

What lies between hazard and goal never changes along a walk, and a broken walk is worth nothing. So a few rings of unbroken
states hold all that counts, and decisions are followed only as long as some walk may still be under way.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from vapo_core.tasks.walk import Walk

LogProbs = Callable[[Tensor, Tensor], Tensor]
"""([N] states, [N] decisions) -> [N, 3] log-probabilities of the actions."""

UNDER_WAY = 1e-9
"""Expected number of walks, of all that were asked about, that may be cut off: no value is wrong by more."""


class Rings(NamedTuple):
    """The states that walks from given states may come to, numbered from 0 to n - 1."""

    states: Tensor
    """[n] their numbers in the walk."""
    number: Tensor
    """[states] number here; n where a state is none of them."""
    onward: Tensor
    """[n, actions that go on] number here of the next state; n where it is none of them."""

    @classmethod
    def around(cls, walk: Walk, states: Tensor, broken: bool) -> "Rings":
        """Every state with a gap between goal and hazard as in some of these states; broken ones only where asked for."""
        size = walk.dials.size
        _, goal, hazard, _ = (x[states.numpy()] for x in walk.coordinates)
        stage, cell, gap, whole = np.ix_(
            np.arange(walk.dials.sparsity + 1),
            np.arange(size),
            np.unique((hazard - goal) % size),
            np.arange(1 + broken),
        )
        found = np.sort(walk.index(stage, cell, cell + gap, whole).ravel())
        number = np.full(walk.states, len(found))
        number[found] = np.arange(len(found))
        onward = number[walk.transitions[found, : walk.ending]]
        return cls(torch.from_numpy(found), torch.from_numpy(number), torch.from_numpy(onward))


def occupancy(rings: Rings, entering: list[Tensor], probabilities: Iterator[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Decision by decision: action probabilities, and [n] the expected number of walks that make the decision in a state.

    Args:
        entering: per decision, [N] numbers of the states in which walks begin there; no more begin later.
        probabilities: per decision, [n, 3].
    """
    n, ending = rings.onward.shape
    walks = torch.zeros(n + 1, dtype=torch.float64)
    for decision, at in enumerate(probabilities):
        if decision < len(entering):
            walks = walks + torch.bincount(entering[decision], minlength=n + 1)
        yield at, walks[:n]
        moved = (walks[:n, None] * at.detach().double()[:, :ending]).flatten()
        walks = torch.zeros_like(walks).index_add(0, rings.onward.flatten(), moved)


def action_slices(walk: Walk, log_probs: LogProbs, states: Tensor, first: int = 0) -> Iterator[Tensor]:
    """[n, 3] action probabilities in these states, for every decision from `first` on; keeps the graph.

    With a graph only probabilities are held, and the rest is computed again on the way back.
    """
    for decision in range(first, walk.dials.horizon):
        at = torch.full_like(states, decision)
        if torch.is_grad_enabled():
            yield checkpoint(log_probs, states, at, use_reentrant=False, preserve_rng_state=False).exp()
        else:
            yield log_probs(states, at).exp()


def values(walk: Walk, log_probs: LogProbs, state: Tensor, decision: Tensor, stop_reward: Tensor) -> Tensor:
    """[N, R] expected reward from states before their decisions, in R rewards at once; keeps the graph.

    Args:
        state, decision: [N] int; a decision of `horizon` is the end of a walk that was cut off, or is judged there.
        stop_reward: [states, R] reward of stopping, 0 in broken states.
    """
    if not len(state):
        return stop_reward.new_zeros(0, stop_reward.shape[1])
    rings = Rings.around(walk, state, broken=False)
    number, first, last = rings.number[state], int(decision.min()), int(decision.max())
    entering = [number[decision == d] for d in range(first, last + 1)]
    slices: list[Tensor] = []
    for at, walks in occupancy(rings, entering, action_slices(walk, log_probs, rings.states, first)):
        if len(slices) >= len(entering) and walks.sum() < UNDER_WAY:
            break
        slices.append(at)
    reward = stop_reward[rings.states].to(slices[0] if slices else stop_reward)
    judged = walk.dials.fixed_length and first + len(slices) == walk.dials.horizon
    here = reward if judged else torch.zeros_like(reward)
    found = here.new_zeros(len(state), reward.shape[1])
    for d in range(first + len(slices), first - 1, -1):
        if d < first + len(slices):
            here = _before(slices[d - first], reward, here, rings.onward)
        if d <= last:
            asked = decision == d
            found = torch.where(asked[:, None], _beyond(here)[number], found)
    return found


def _before(at: Tensor, reward: Tensor, after: Tensor, onward: Tensor) -> Tensor:
    """[n, R] values before a decision from those after it."""
    ending = onward.shape[1]
    stopped = (at[:, ending:, None] * reward[:, None]).sum(1)
    return stopped + (at[:, :ending, None] * _beyond(after)[onward]).sum(1)


def _beyond(values: Tensor) -> Tensor:
    """[n + 1, R] with a last row of zeros: broken walks."""
    return torch.cat([values, values.new_zeros(1, values.shape[1])])
