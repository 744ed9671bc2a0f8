"""True values of places in sampled responses, whichever world: exact, or Monte-Carlo means with their noise.

Estimators are the debiased ones of METHODS section 3; with exact values the noise is 0 and they reduce to the plain ones.
Shapes: N places.
"""

from typing import NamedTuple

import numpy as np


class Truth(NamedTuple):
    """Values at N places of sampled responses."""

    row: np.ndarray
    """[N] response each place is in."""
    time: np.ndarray
    """[N] token the place stands before."""
    length: np.ndarray
    """[N] length of the response it is in, tokens."""
    critic: np.ndarray
    """[N] the critic's value, in units of the verifier's reward."""
    value: np.ndarray
    """[N] true V or its Monte-Carlo estimate."""
    noise: np.ndarray
    """[N] variance of the estimate, s^2 / K; 0 where it is exact."""

    @property
    def quarter(self) -> np.ndarray:
        """[N] quarter of the response, 0 .. 3."""
        return 4 * self.time // self.length

    def where(self, chosen: np.ndarray) -> "Truth":
        """Some of the places."""
        return Truth(*(x[chosen] for x in self))


def squared_error(truth: Truth) -> float:
    """Unbiased E[(V_hat - V)^2]; single places are not cut at 0."""
    return float(np.mean((truth.critic - truth.value) ** 2 - truth.noise))


def value_variance(truth: Truth) -> float:
    """Unbiased Var(V) over places: what the best constant leaves unexplained."""
    return float(truth.value.var(ddof=1) - truth.noise.mean())


def position_variance(truth: Truth) -> float:
    """Unbiased mean of Var(V | time): what the best position-only critic leaves; times seen once are left out."""
    return within_group_variance(truth.value, truth.noise, truth.time)


def within_group_variance(value: np.ndarray, noise: np.ndarray, group: np.ndarray) -> float:
    """Unbiased mean of Var(V | group) from estimates with known noise variance; groups of one are left out.

    All [N]; nan when no group has two members.
    """
    total, weight = 0.0, 0
    for label in np.unique(group):
        inside = group == label
        size = int(inside.sum())
        if size > 1:
            total += size * (value[inside].var(ddof=1) - noise[inside].mean())
            weight += size
    return total / weight if weight else float("nan")
