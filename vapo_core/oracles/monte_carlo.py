"""Monte-Carlo values: the mean result of K fresh continuations of a prefix under the present policy (VinePPO's protocol).

A world says how places are continued (`World.continuations`); here is in which batches, and what is asked for.
Shapes: N places, K continuations, B responses, T tokens.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.oracles.truth import Truth
from vapo_core.seeds import child
from vapo_core.settings import Settings
from vapo_core.types import Batch, Problem, Rollout

ROWS = 512
"""Most continuations sampled side by side; on two cores more are slower, for the cache of keys and values grows past theirs."""


class Continued(NamedTuple):
    """What continuing places gave and cost."""

    returns: np.ndarray
    """[N, K] results of K continuations at N places, in verifier units."""
    tokens: int
    """Tokens sampled."""


def continue_all(
    world: Any,
    responses: Rollout | Batch,
    problems: Sequence[Problem],
    row: np.ndarray,
    time: np.ndarray,
    continuations: int,
    seed: int,
) -> Continued:
    """Continue N prefixes K times each, in batches of prefixes alike in length.

    A prefix is read once for its K continuations. Equal prefixes are continued anew each time they occur: every
    estimator takes s^2 / K off per place, which is right only while the noise of places is independent.

    Args:
        world: either world; reads only.
        responses: B responses the prefixes are cut from.
        problems: one per response.
        row: [N] response of each prefix.
        time: [N] tokens it keeps, so that V stands before token `time`.
        continuations: K.
        seed: the same seed gives the same results.
    """
    size, order = max(1, ROWS // continuations), np.argsort(time, kind="stable")
    returns, tokens = np.zeros((len(row), continuations)), 0
    for number, first in enumerate(range(0, len(order), size)):
        here = order[first : first + size]
        found = world.continuations(responses, problems, row[here], time[here], continuations, child(seed, 1, number))
        returns[here] = found.returns
        tokens += found.tokens
    return Continued(returns, tokens)


def pick_places(mask: Tensor, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(row, time) of `number` valid tokens drawn without replacement from [B, T]; all of them if there are fewer."""
    rows, times = mask.cpu().numpy().nonzero()
    chosen = np.sort(rng.permutation(len(rows))[:number])
    return rows[chosen], times[chosen]


def values_at(
    world: Any,
    responses: Rollout | Batch,
    problems: Sequence[Problem],
    row: np.ndarray,
    time: np.ndarray,
    continuations: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """[N] values in verifier units and the variance of their noise: exact and 0 where the world knows, else Monte-Carlo.

    Args: as `continue_all`; K at least 2.
    """
    exact = world.exact_at(responses, row, time)
    if exact is not None:
        return exact, np.zeros(len(exact))
    returns = continue_all(world, responses, problems, row, time, continuations, seed).returns
    return returns.mean(1), returns.var(axis=1, ddof=1) / continuations


def truth_at(
    world: Any,
    responses: Rollout,
    problems: Sequence[Problem],
    row: np.ndarray,
    time: np.ndarray,
    continuations: int,
    seed: int,
    settings: Settings,
) -> Truth:
    """True values at given places with the critic's beside them. Args: as `continue_all`; K at least 2."""
    value, noise = values_at(world, responses, problems, row, time, continuations, seed)
    length = responses.mask.sum(1).cpu().numpy()[row]
    return Truth(row, time, length, critic_at(world.critic, responses, row, time, settings), value, noise)


@torch.no_grad()
def critic_at(
    critic: nn.Module, responses: Rollout, row: np.ndarray, time: np.ndarray, settings: Settings
) -> np.ndarray:
    """[N] a critic's values at places, brought into verifier units."""
    values = critic(Batch.ungraded(responses)).double().cpu().numpy()[row, time]
    return (values - settings.reward_low) / (settings.reward_high - settings.reward_low)


def sampled_truth(
    world: Any,
    problems: Sequence[Problem],
    rollout: Rollout,
    seed: int,
    settings: Settings,
    places: int = 128,
    continuations: int = 16,
) -> Truth:
    """True values at places of sampled responses, the critic's beside them.

    Args:
        world: either world; reads only.
        problems: one per response.
        rollout: B responses sampled from the present policy.
        seed: draws places and continuations.
        settings: reward values, to bring the critic into verifier units.
        places: N, drawn uniformly over response tokens; every token where values are exact.
        continuations: K, fresh samples per place; unread where values are exact.
    """
    row, time = (x.cpu().numpy() for x in rollout.mask.nonzero(as_tuple=True))
    if world.exact_at(rollout, row[:1], time[:1]) is None:
        row, time = pick_places(rollout.mask, places, np.random.default_rng(child(seed, 0)))
    return truth_at(world, rollout, problems, row, time, continuations, seed, settings)


def step_starts(step: Tensor, mask: Tensor) -> Tensor:
    """[B, T] bool, the first token of every step, from step numbers and mask of the same shape."""
    return mask & (torch.nn.functional.pad(step[:, :-1], (1, 0), value=-1) != step)


def step_start_values(
    world: Any, batch: Batch, problems: Sequence[Problem], continuations: int, seed: int
) -> tuple[Tensor, int]:
    """[B, T] Monte-Carlo value of the start of each token's step, 0 where masked, and the tokens it took."""
    first = step_starts(batch.step, batch.mask)
    row, time = (x.cpu().numpy() for x in first.nonzero(as_tuple=True))
    returns, spent = continue_all(world, batch, problems, row, time, continuations, seed)
    starts = torch.zeros(batch.mask.shape, dtype=batch.logp_old.dtype)
    starts[row, time] = torch.from_numpy(returns.mean(1)).to(starts)
    begun = torch.where(first.cpu(), torch.arange(batch.mask.shape[1]), 0)
    held = torch.cummax(begun, dim=1).values  # where each token's step began
    return starts.gather(1, held).to(batch.mask.device).where(batch.mask, 0.0), spent
