"""Moments of batch gradients whose responses are tied to each other: token mean's denominator, whitening, group std.

They are no sums over independent responses, so no recursion gives them exactly. Each result says how it was found: by the
delta method, by simulation, or, where it is small enough, by enumeration of every batch. Axes: B responses in a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import torch

from vapo_core.functional.advantages import gae, group_relative, whiten
from vapo_core.oracles.responses import Responses, listed, sampled
from vapo_core.oracles.tabular import TabularMDP, by_length

Credit = Callable[[Responses], np.ndarray]
"""A batch to the weight [T, B] of every token's score in its gradient, normalisation included; 0 after the end."""

Method = Literal["delta method", "simulation", "enumeration"]


@dataclass(frozen=True)
class BatchMoments:
    """First and second moment of the gradient of a whole batch."""

    mean: np.ndarray
    """[T, S, A] E[g_hat]."""
    square: float
    """E|g_hat|^2."""
    method: Method
    mean_square: float
    """|E[g_hat]|^2; of a simulation the product of two independent halves, so that its noise is not counted."""
    square_se: float = 0.0
    """Standard error of `square`; 0 unless simulated."""

    def bias(self, truth: np.ndarray) -> float:
        """sin of the angle between E[g_hat] and the truth, in [0, 1]: the scale is arbitrary here."""
        return float(np.sqrt(max(0.0, 1 - _along(self.mean, truth) ** 2 / self.mean_square)))

    def quality(self, truth: np.ndarray) -> float:
        """Gradient quality Q = (E g_hat . grad J)^2 / (|grad J|^2 E|g_hat|^2), in [0, 1] (METHODS.md section 0)."""
        return _along(self.mean, truth) ** 2 / self.square


def token_mean(mdp: TabularMDP, critic: np.ndarray, lam: np.ndarray, batch: int) -> BatchMoments:
    """Token mean, sum_i G_i / sum_i l_i, by the delta method: exact to O(1 / B^2), from exact joint moments of G and l.

    With r = E G / E l: mean r - (Cov(G, l) - r Var l) / (B (E l)^2) and variance E|G - r l|^2 / (B (E l)^2).

    Args:
        critic: [T + 1, S] V_hat.
        lam: [T + 1] lambda at each length; index 0 unused.
        batch: B.
    """
    tokens, chance = np.arange(mdp.shape[0] + 1), mdp.length_probabilities
    length, length_square = float(chance @ tokens), float(chance @ tokens**2)
    plain, tied = by_length(mdp, critic, lam), by_length(mdp, critic, lam, tokens.astype(float)).mean
    ratio = plain.mean / length
    residual = plain.square - 2 * float((ratio * tied).sum()) + float((ratio**2).sum()) * length_square
    covariance, variance = tied - plain.mean * length, length_square - length**2
    mean = ratio - (covariance - ratio * variance) / (batch * length**2)
    mean_square = float((mean**2).sum())
    return BatchMoments(mean, mean_square + residual / (batch * length**2), "delta method", mean_square)


def simulated(
    mdp: TabularMDP, credit: Credit, batch: int, batches: int, rng: np.random.Generator, each: int = 1
) -> BatchMoments:
    """Any credit by simulation of `batches` (2 or more) batches of B responses, `each` in a row answering one prompt."""
    halves, squares = np.zeros((2, *mdp.shape)), np.zeros(batches)
    for number in range(batches):
        responses = sampled(mdp, batch, rng, each)
        gradient = gradient_of(mdp, responses, credit(responses))
        halves[number % 2] += gradient
        squares[number] = (gradient**2).sum()
    error = float(squares.std(ddof=1) / np.sqrt(batches))
    one, other = halves[0] / -(-batches // 2), halves[1] / (batches // 2)
    mean_square = float((one * other).sum())
    return BatchMoments(halves.sum(0) / batches, float(squares.mean()), "simulation", mean_square, error)


def enumerated(mdp: TabularMDP, credit: Credit, batch: int) -> BatchMoments:
    """Any credit by every possible batch of B independent responses: N^B of them, for N possible responses.

    Raises:
        ValueError: if there are too many responses to list.
    """
    every, chance = listed(mdp)
    mean, square = np.zeros(mdp.shape), 0.0
    for rows in product(range(len(chance)), repeat=batch):
        responses = every.take(np.array(rows))
        gradient, probability = gradient_of(mdp, responses, credit(responses)), float(chance[list(rows)].prod())
        mean += probability * gradient
        square += probability * float((gradient**2).sum())
    return BatchMoments(mean, square, "enumeration", float((mean**2).sum()))


def gradient_of(mdp: TabularMDP, responses: Responses, weight: np.ndarray) -> np.ndarray:
    """[T, S, A] sum over tokens of weight [T, B] times the score of the token taken."""
    horizon, situations, _ = mdp.shape
    time = np.broadcast_to(np.arange(horizon)[:, None], weight.shape)
    inside = np.where(responses.mask, weight, 0.0)
    gradient, here = np.zeros(mdp.shape), np.zeros((horizon, situations))
    np.add.at(gradient, (time, responses.states, responses.actions), inside)
    np.add.at(here, (time, responses.states), inside)
    return gradient - here[:, :, None] * mdp.policy


def plain_token_mean(critic: np.ndarray, lam: np.ndarray) -> Credit:
    """GAE with lambda [T + 1] by length, token mean."""
    return lambda responses: _advantages(responses, critic, lam).numpy().T / responses.length.sum()


def whitened_token_mean(critic: np.ndarray, lam: np.ndarray) -> Credit:
    """GAE whitened over the batch, token mean: the trainer's own functions."""

    def credit(responses: Responses) -> np.ndarray:
        mask = torch.from_numpy(responses.mask.T)
        return whiten(_advantages(responses, critic, lam), mask).numpy().T / responses.length.sum()

    return credit


def group_standing(each: int) -> Credit:
    """GRPO: standing among `each` answers to one prompt over the group's std, mean over responses of sums over tokens."""

    def credit(responses: Responses) -> np.ndarray:
        group = torch.arange(len(responses.length)) // each
        standing = group_relative(torch.from_numpy(responses.reward), group).numpy()
        return np.where(responses.mask, standing, 0.0) / len(standing)

    return credit


def _advantages(responses: Responses, critic: np.ndarray, lam: np.ndarray) -> torch.Tensor:
    """[B, T] by the trainer's GAE."""
    mask = responses.mask
    values = np.where(mask, critic[np.arange(len(mask))[:, None], responses.states], 0.0)
    rewards = np.zeros(mask.shape)
    rewards[responses.length - 1, np.arange(mask.shape[1])] = responses.reward
    tensors = [torch.from_numpy(x.T) for x in (rewards, values, mask)]
    return gae(tensors[0], tensors[1], tensors[2], torch.from_numpy(lam[responses.length]))


def _along(x: np.ndarray, truth: np.ndarray) -> float:
    """Component along the truth's direction."""
    return float((x * truth).sum() / np.linalg.norm(truth))
