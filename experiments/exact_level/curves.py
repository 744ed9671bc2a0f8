"""Gradient quality over a grid of lambdas, computed in one pass and in units of the true gradient."""

from typing import NamedTuple

import numpy as np

from vapo_core.oracles.tabular import Moments, TabularMDP


class Curve(NamedTuple):
    """Moments of one response's gradient g for L estimators, relative to the true gradient; all [L]."""

    along: np.ndarray
    """E g . grad J / |grad J|^2; 1 without bias."""
    power: np.ndarray
    """|E g|^2 / |grad J|^2."""
    noise: np.ndarray
    """Trace of the covariance of g / |grad J|^2."""
    bias: np.ndarray
    """|E g - grad J| / |grad J|."""

    def quality(self, batch: float) -> np.ndarray:
        """[L] gradient quality Q = along^2 / (power + noise / B), in [0, 1] (METHODS.md, section 0)."""
        return self.along**2 / (self.power + self.noise / batch)


def lambda_curve(mdp: TabularMDP, critic: np.ndarray, lambdas: np.ndarray, noise: float = 0.0) -> Curve:
    """`oracles.tabular.constant_lambda` for many lambdas at once, without keeping their gradients.

    Args:
        mdp: T decisions, S situations, A actions.
        critic: [T + 1, S] V_hat.
        lambdas: [L] in [0, 1].
        noise: standard deviation of an i.i.d. error at every visit, added to `critic`.
    """
    horizon, situations, _ = mdp.shape
    lam, delta, truth = np.asarray(lambdas, float)[:, None, None], mdp.td_errors(critic), mdp.gradient
    mean_next, var_next, fresh_next = np.zeros((3, len(lam), situations))
    along, power, square, off = np.zeros((4, len(lam)))
    for t in reversed(range(horizon)):
        going, to, pi = ~mdp.ends[t], mdp.next[t], mdp.policy[t]
        mean = delta[t] + lam * (going * mean_next[:, to])
        variance = lam**2 * (going * var_next[:, to])
        fresh = going * (((1 - lam) * noise) ** 2 + lam**2 * fresh_next[:, to])
        weight = mdp.occupancy[t][:, None] * pi
        centre = (pi * mean).sum(2)
        deviation = mean - centre[:, :, None]
        gradient = weight * deviation
        along += (gradient * truth[t]).sum((1, 2))
        power += (gradient**2).sum((1, 2))
        off += ((gradient - truth[t]) ** 2).sum((1, 2))
        square += (weight * mdp.score_norms[t] * (mean**2 + variance + noise**2 + fresh)).sum((1, 2))
        var_next = (pi * (variance + deviation**2)).sum(2)
        mean_next, fresh_next = centre, (pi * fresh).sum(2)
    size = float((truth**2).sum())
    return Curve(along / size, power / size, (square - power) / size, np.sqrt(off / size))


def curve_of(moments: list[Moments], truth: np.ndarray) -> Curve:
    """The same numbers for estimators with known moments; truth [T, S, A] is grad J."""
    size = float((truth**2).sum())
    rows = [
        (
            float((m.mean * truth).sum()) / size,
            float((m.mean**2).sum()) / size,
            m.variance() / size,
            m.bias(truth),
        )
        for m in moments
    ]
    return Curve(*np.array(rows).T)
