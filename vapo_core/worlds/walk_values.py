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
"""Expected number of walks, of all that were asked about, that may be cut off, and as many again that may be left out
because they are in states where hardly any are: no value is wrong by more than both."""


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


class Slice(NamedTuple):
    """One decision, in the states where it is made."""

    here: Tensor
    """[k] numbers of the states, increasing."""
    at: Tensor
    """[k, 3] probabilities of the actions there."""
    walks: Tensor
    """[k] expected number of walks that make the decision there."""


def occupancy(
    walk: Walk, log_probs: LogProbs, rings: Rings, entering: list[Tensor], least: float, first: int = 0
) -> Iterator[Slice]:
    """Decision by decision, in what states it is made how often; keeps the graph of the probabilities.

    With a graph only probabilities are held, and the rest is computed again on the way back.

    Args:
        entering: per decision from `first` on, [N] numbers of the states in which walks begin there.
        least: expected number of walks at a decision in a state that has to be exceeded for it to be followed.
    """
    n, ending = rings.onward.shape
    walks = torch.zeros(n + 1, dtype=torch.float64)
    for decision in range(first, walk.dials.horizon):
        if decision - first < len(entering):
            walks = walks + torch.bincount(entering[decision - first], minlength=n + 1)
        here = (walks[:n] > least).nonzero().squeeze(1)
        asked = rings.states.index_select(0, here), torch.tensor([decision])
        if torch.is_grad_enabled():
            at = checkpoint(log_probs, *asked, use_reentrant=False, preserve_rng_state=False).exp()
        else:
            at = log_probs(*asked).exp()
        found = walks.index_select(0, here)
        yield Slice(here, at, found)
        moved = (found[:, None] * at.detach().double()[:, :ending]).flatten()
        walks = torch.zeros_like(walks).index_add(0, rings.onward.index_select(0, here).flatten(), moved)


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
    least = UNDER_WAY / (len(rings.states) * walk.dials.horizon)
    slices: list[Slice] = []
    for found in occupancy(walk, log_probs, rings, entering, least, first):
        if len(slices) >= len(entering) and found.walks.sum() < UNDER_WAY:
            break
        slices.append(found)
    reward = stop_reward[rings.states].to(slices[0].at if slices else stop_reward)
    judged = walk.dials.fixed_length and first + len(slices) == walk.dials.horizon
    after = _beyond(reward if judged else torch.zeros_like(reward))
    answers = after.new_zeros(len(state), reward.shape[1])
    for d in range(first + len(slices), first - 1, -1):
        if d < first + len(slices):
            after = _before(slices[d - first], reward, after, rings.onward)
        if d <= last:
            answers = torch.where((decision == d)[:, None], after[number], answers)
    return answers


def _before(made: Slice, reward: Tensor, after: Tensor, onward: Tensor) -> Tensor:
    """[n + 1, R] values before a decision from those after it; 0 where it is not followed."""
    ending = onward.shape[1]
    stopped = (made.at[:, ending:, None] * reward.index_select(0, made.here)[:, None]).sum(1)
    moved = (made.at[:, :ending, None] * after[onward.index_select(0, made.here)]).sum(1)
    return torch.zeros_like(after).index_copy(0, made.here, stopped + moved)


def _beyond(values: Tensor) -> Tensor:
    """[n + 1, R] with a last row of zeros: broken walks."""
    return torch.cat([values, values.new_zeros(1, values.shape[1])])
