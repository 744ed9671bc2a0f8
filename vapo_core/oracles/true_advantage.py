"""True advantages of sampled tokens, whichever world: exact, or from fresh continuations with their noise."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vapo_core.oracles.monte_carlo import pick_places, values_at
from vapo_core.seeds import child
from vapo_core.types import Problem, Rollout


class TrueAdvantage(NamedTuple):
    """A_t = V_{t+1} - V_t at N tokens, where what a token leads to is sure; it is the true TD error as well."""

    row: np.ndarray
    """[N] response each token is in."""
    time: np.ndarray
    """[N] token."""
    value: np.ndarray
    """[N] A or an unbiased estimate of it, in units of the verifier's reward."""
    noise: np.ndarray
    """[N] variance of the estimate; 0 where it is exact."""


def true_advantages(
    world: Any, rollout: Rollout, problems: Sequence[Problem], places: int, continuations: int, seed: int
) -> TrueAdvantage:
    """At tokens that are not the last of their response; none where all responses are one token long.

    The last is left out: its reward may be drawn by luck, and its advantage estimate knows no lambda.

    Args:
        world: either world; reads only.
        rollout: B responses. problems: one per response.
        places: N, drawn uniformly over these tokens; every one of them where values are exact.
        continuations: K for each of the two values, drawn apart, so their noise adds up; unread where values are exact.
        seed: draws places and continuations.
    """
    inner = rollout.mask[:, :-1] & rollout.mask[:, 1:]
    row, time = (x.cpu().numpy() for x in inner.nonzero(as_tuple=True))
    if not len(row):
        return TrueAdvantage(row, time, np.zeros(0), np.zeros(0))
    if world.exact_at(rollout, row[:1], time[:1]) is None:
        row, time = pick_places(inner, places, np.random.default_rng(child(seed, 0)))
    here, noise = values_at(world, rollout, problems, row, time, continuations, child(seed, 1))
    after, more = values_at(world, rollout, problems, row, time + 1, continuations, child(seed, 2))
    return TrueAdvantage(row, time, after - here, noise + more)
