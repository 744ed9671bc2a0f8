"""Exact answers on tabular reasoning MDPs: values, gradient, and the moments of GAE gradient estimators.

Notation as in METHODS.md: T decisions at most, S situations per decision, A actions. A state is (t, s); the policy has a
logit for every (t, s, a), so a response meets each parameter at most once and scores of different tokens are orthogonal.
That makes E|g|^2 a sum over single tokens, which is what allows exact second moments. Everything is numpy, float64.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class TabularMDP:
    """A finite-horizon MDP with terminal reward and a policy on it."""

    next: np.ndarray
    """[T, S, A] int, situation after the action."""
    ends: np.ndarray
    """[T, S, A] bool, whether the action ends the response; at the last decision every action does."""
    reward: np.ndarray
    """[T, S, A] in [0, 1], reward when it ends there."""
    policy: np.ndarray
    """[T, S, A] action probabilities."""
    start: np.ndarray
    """[S] distribution of the first situation."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, S, A)."""
        horizon, situations, actions = self.policy.shape
        return horizon, situations, actions

    @cached_property
    def values(self) -> np.ndarray:
        """[T + 1, S] true V before each decision; the last row is 0."""
        horizon, situations, _ = self.shape
        values = np.zeros((horizon + 1, situations))
        for t in reversed(range(horizon)):
            values[t] = (self.policy[t] * self._onward(t, values[t + 1])).sum(1)
        return values

    @cached_property
    def action_values(self) -> np.ndarray:
        """[T, S, A] true Q."""
        return np.stack([self._onward(t, self.values[t + 1]) for t in range(self.shape[0])])

    @cached_property
    def occupancy(self) -> np.ndarray:
        """[T, S] probability of making decision t in situation s."""
        horizon, situations, _ = self.shape
        reached = np.zeros((horizon, situations))
        reached[0] = self.start
        for t in range(horizon - 1):
            flow = reached[t][:, None] * self.policy[t] * ~self.ends[t]
            np.add.at(reached[t + 1], self.next[t], flow)
        return reached

    @cached_property
    def length_probabilities(self) -> np.ndarray:
        """[T + 1] probability of each response length (index 0 is 0)."""
        ending = (self.occupancy[:, :, None] * self.policy * self.ends).sum((1, 2))
        return np.concatenate([[0.0], ending])

    @property
    def expected_return(self) -> float:
        """J."""
        return float(self.start @ self.values[0])

    @property
    def return_variance(self) -> float:
        """Var(R) over responses and starts; exact for rewards of 0 and 1, by E[R^2] for others."""
        ending = self.occupancy[:, :, None] * self.policy * self.ends
        second = float((ending * self.reward**2).sum())
        return second - self.expected_return**2

    @cached_property
    def gradient(self) -> np.ndarray:
        """[T, S, A] true gradient of J by the logits: occupancy * pi * (Q - V)."""
        advantage = self.action_values - self.values[:-1][:, :, None]
        return self.occupancy[:, :, None] * self.policy * advantage

    @cached_property
    def score_norms(self) -> np.ndarray:
        """[T, S, A] |psi|^2 = 1 - 2 pi_a + sum_b pi_b^2 of a softmax over the logits of one state."""
        return 1.0 - 2.0 * self.policy + (self.policy**2).sum(2, keepdims=True)

    def _onward(self, t: int, following: np.ndarray) -> np.ndarray:
        """[S, A] expected final reward after each action, given values of the next situations."""
        return np.where(self.ends[t], self.reward[t], following[self.next[t]])

    def td_errors(self, critic: np.ndarray) -> np.ndarray:
        """[T, S, A] delta = r + V_hat(next) - V_hat(here), with V_hat = 0 after the end. critic: [T + 1, S]."""
        onward = np.stack([self._onward(t, critic[t + 1]) for t in range(self.shape[0])])
        return onward - critic[:-1][:, :, None]


@dataclass(frozen=True)
class Moments:
    """First and second moment of the gradient contribution of one response."""

    mean: np.ndarray
    """[T, S, A] E[g]."""
    square: float
    """E|g|^2."""

    def bias(self, truth: np.ndarray) -> float:
        """|E[g] - truth| / |truth|, fraction."""
        return float(np.linalg.norm(self.mean - truth) / np.linalg.norm(truth))

    def variance(self) -> float:
        """Trace of the covariance of one response's contribution."""
        return self.square - float((self.mean**2).sum())

    def quality(self, truth: np.ndarray, batch: float) -> float:
        """Gradient quality Q = (E g . grad J)^2 / (|grad J|^2 E|g_hat|^2) of the mean over `batch` responses, in [0, 1]."""
        mean_square = float((self.mean**2).sum())
        second = mean_square + self.variance() / batch
        return float((self.mean * truth).sum() ** 2 / ((truth**2).sum() * second))


def sample_equivalents(worse: Moments, better: Moments, truth: np.ndarray, batch: float) -> float:
    """Factor on the batch that the worse rule needs to reach the better one's Q; inf where its bias forbids it."""
    target = better.quality(truth, batch)
    mean_square = float((worse.mean**2).sum())
    along = float((worse.mean * truth).sum() ** 2 / (truth**2).sum())
    room = along / target - mean_square  # what variance / batch may at most be
    return worse.variance() / room / batch if room > 0 else float("inf")


def constant_lambda(
    mdp: TabularMDP, critic: np.ndarray, lam: float, noise: float = 0.0, weight: float = 1.0
) -> Moments:
    """Moments of g = weight * sum_t psi_t A_hat_t with one lambda.

    A_hat_t = delta_t + lam A_hat_{t+1}. Central recursions: the variance of A_hat is propagated, never a difference of
    large second moments.

    Args:
        critic: [T + 1, S] V_hat.
        lam: in [0, 1].
        noise: standard deviation of an i.i.d. error at every visit, added to `critic`.
        weight: the reduction's weight per token, such as 1 / E[l] for the token mean of a large batch.
    """
    horizon, situations, _ = mdp.shape
    delta = mdp.td_errors(critic)
    mean_next, var_next, noise_next = (np.zeros(situations) for _ in range(3))
    gradient, square = np.zeros_like(delta), 0.0
    for t in reversed(range(horizon)):
        going, to = ~mdp.ends[t], mdp.next[t]
        mean = delta[t] + lam * np.where(going, mean_next[to], 0.0)
        variance = lam**2 * np.where(going, var_next[to], 0.0)
        fresh = np.where(going, ((1 - lam) * noise) ** 2 + lam**2 * noise_next[to], 0.0)
        pi, here = mdp.policy[t], mdp.occupancy[t][:, None]
        centre = (pi * mean).sum(1)
        gradient[t] = here * pi * (mean - centre[:, None])
        square += float((here * pi * mdp.score_norms[t] * (mean**2 + variance + noise**2 + fresh)).sum())
        var_next = (pi * (variance + (mean - centre[:, None]) ** 2)).sum(1)
        mean_next, noise_next = centre, (pi * fresh).sum(1)
    return Moments(weight * gradient, weight**2 * square)


def by_length(
    mdp: TabularMDP, critic: np.ndarray, lam: np.ndarray, weight: np.ndarray | None = None, noise: float = 0.0
) -> Moments:
    """Moments of g = w(l) sum_t psi_t A_hat_t^{lambda(l)} when lambda and weight depend on the response's own length.

    One pass per possible length, restricted to the responses that end with it; memory [T, S, A], time T^2 S A.

    Args:
        lam: [T + 1] lambda at each length; index 0 unused.
        weight: [T + 1] weight at each length, such as 1 / l for the sequence mean; ones if not given.
        noise: as in `constant_lambda`.
    """
    horizon, situations, _ = mdp.shape
    delta = mdp.td_errors(critic)
    weights = np.ones(horizon + 1) if weight is None else weight
    lam, w = lam[1:, None, None], weights[1:, None, None]
    lengths = np.arange(1, horizon + 1)[:, None, None]
    # P(l | here), and E[A_hat; l], E[A_hat^2; l], E[noise part^2; l], one row per length
    chance, first, second, fresh = (np.zeros((horizon, situations)) for _ in range(4))
    gradient, square = np.zeros_like(delta), 0.0
    for t in reversed(range(horizon)):
        going, to = ~mdp.ends[t], mdp.next[t]
        p = np.where(going, chance[:, to], lengths == t + 1)
        f = delta[t] * p + lam * np.where(going, first[:, to], 0.0)
        s = delta[t] ** 2 * p + np.where(going, 2 * lam * delta[t] * first[:, to] + lam**2 * second[:, to], 0.0)
        u = np.where(going, ((1 - lam) * noise) ** 2 * p + lam**2 * fresh[:, to], 0.0)
        pi, here = mdp.policy[t], mdp.occupancy[t][:, None]
        total = (w * f).sum(0)
        gradient[t] = here * pi * (total - (pi * total).sum(1, keepdims=True))
        square += float((here * pi * mdp.score_norms[t] * (w**2 * (s + noise**2 * p + u)).sum(0)).sum())
        chance, first, second, fresh = ((pi * x).sum(2) for x in (p, f, s, u))
    return Moments(gradient, square)


def independent_lambda(mdp: TabularMDP, critic: np.ndarray, lam: np.ndarray, noise: float = 0.0) -> Moments:
    """Moments when lambda is taken from the length of *another* answer to the prompt, independent of the response.

    R11's control arm: a mixture over lengths of constant-lambda estimators, without the bias of one's own length.
    """
    probabilities = mdp.length_probabilities
    found = [
        (p, constant_lambda(mdp, critic, float(x), noise)) for p, x in zip(probabilities, lam, strict=True) if p > 0
    ]
    return Moments(np.sum([p * m.mean for p, m in found], axis=0), float(np.sum([p * m.square for p, m in found])))


def adaptive(alpha: float, horizon: int) -> np.ndarray:
    """[horizon + 1] VAPO's lambda at each length, 1 - 1 / (alpha l) clipped to [0, 1]; index 0 is 0."""
    lengths = np.arange(1, horizon + 1)
    return np.concatenate([[0.0], np.clip(1 - 1 / (alpha * lengths), 0.0, 1.0)])
