"""True values of places in sampled responses, whichever world: exact, or Monte-Carlo means with their noise.

Estimators are the debiased ones of METHODS.md section 3; with exact values the noise is 0 and they reduce to the plain ones.
All hold for any reward values. Shapes: N places.
"""

from typing import NamedTuple

import numpy as np

BINS = 5
"""Bins of equal count, by the critic's value, that its calibration is judged in."""


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
    """[N] variance of the estimate, s^2 / K with s^2 the sample variance of the K returns; 0 where it is exact."""

    @property
    def quarter(self) -> np.ndarray:
        """[N] quarter of the response, 0 .. 3."""
        return 4 * self.time // self.length

    def where(self, chosen: np.ndarray) -> "Truth":
        """Some of the places."""
        return Truth(*(x[chosen] for x in self))


def squared_error(truth: Truth) -> float:
    """Unbiased E[(V_hat - V)^2] = mean of (V_hat - V_mc)^2 - s^2 / K; single places are not cut at 0."""
    return float(np.mean((truth.critic - truth.value) ** 2 - truth.noise))


def value_variance(truth: Truth) -> float:
    """Var(V) over places, noise taken out: what the best constant leaves unexplained.

    Unbiased for independent places; else low by the mean covariance of V over pairs of places, such as those that
    share a prompt.
    """
    return float(truth.value.var(ddof=1) - truth.noise.mean())


def unexplained(truth: Truth) -> float:
    """FVU = E[(V_hat - V)^2] / Var(V): 0 for a perfect critic, 1 for the best constant, more for worse ones."""
    return squared_error(truth) / value_variance(truth)


def position_variance(truth: Truth) -> float:
    """Unbiased mean of Var(V | time): what the best position-only critic leaves; times seen once are left out.

    nan when no time is seen twice.
    """
    total, weight = 0.0, 0
    for label in np.unique(truth.time):
        inside = truth.time == label
        size = int(inside.sum())
        if size > 1:
            total += size * (truth.value[inside].var(ddof=1) - truth.noise[inside].mean())
            weight += size
    return total / weight if weight else float("nan")


def calibration_line(truth: Truth) -> tuple[float, float]:
    """Slope and intercept of the regression of V on V_hat: 1 and 0 for a calibrated critic.

    Below 1: values too far apart; above 1: too close together. Noise of V_mc is in the response, where it biases neither.
    The critic's values must vary.
    """
    centred = truth.critic - truth.critic.mean()
    slope = float(centred @ truth.value / (centred @ centred))
    return slope, float(truth.value.mean() - slope * truth.critic.mean())


def calibration_error(truth: Truth, cluster: np.ndarray) -> float:
    """E[(E[V_hat - V | bin])^2] over BINS bins of V_hat: squared error that relabelling the critic's output would remove.

    The square of a bin's mean is the mean of d_i d_j over pairs of places from different clusters (d = V_hat - V_mc),
    unbiased under continuation noise and under any correlation inside a cluster. Bins with one cluster are left out.

    Args:
        truth: N places.
        cluster: [N] labels of independent groups of places, such as prompts.
    """
    error, labels = truth.critic - truth.value, np.unique(cluster, return_inverse=True)[1]
    edges = np.quantile(truth.critic, np.arange(1, BINS) / BINS)
    bins, total, weight = np.searchsorted(edges, truth.critic, side="right"), 0.0, 0
    for label in np.unique(bins):
        inside = bins == label
        sums, sizes = np.bincount(labels[inside], error[inside]), np.bincount(labels[inside])
        pairs = sizes.sum() ** 2 - (sizes**2).sum()
        if pairs:
            total += inside.sum() * (sums.sum() ** 2 - (sums**2).sum()) / pairs
            weight += int(inside.sum())
    return float(total / weight) if weight else float("nan")
