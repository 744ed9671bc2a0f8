"""Rules for lambda at variable length: a response's own length, the mean length of the others, constants (R11)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from experiments.exact_level.curves import Curve, curve_of, lambda_curve
from experiments.exact_level.family import member
from experiments.exact_level.measured import Measured, crossed, stacked
from experiments.exact_level.plans import Rules
from vapo_core.oracles.tabular import Moments, TabularMDP, adaptive, by_length

OWN, OTHERS, CONSTANT = 0.0, 1.0, 2.0
"""Codes of column `rule`."""

MOST_KNOTS = 24
"""Maximum number of lambdas that represent the distribution of the others' mean length."""


def measure(plan: Rules, seed: int) -> Measured:
    """Gradient moments under each rule, per length, with the rule's alpha or constant lambda in column `value`.

    Tables: `rules` with a row per length, rule and value; `problems` with a row per length: mean, coefficient of
    variation of length, J, and its correlation with success.
    """
    parts, problems = [], []
    for length in plan.lengths:
        found = member(plan, length, seed)
        mdp, critic, noise = found.mdp, found.critic(), plan.error.noise
        alphas, lambdas = np.array(plan.alphas), np.array(plan.lambdas)
        own = [by_length(mdp, critic, adaptive(a, mdp.shape[0]), noise=noise) for a in plan.alphas]
        others = others_mean(mdp, critic, plan.alphas, plan.group, noise)
        curves = (
            (OWN, alphas, curve_of(own, mdp.gradient)),
            (OTHERS, alphas, curve_of(others, mdp.gradient)),
            (CONSTANT, lambdas, lambda_curve(mdp, critic, lambdas, noise)),
        )
        size = float(np.log((mdp.gradient**2).sum()))
        parts += [_rows(length, rule, value, curve, size) for rule, value, curve in curves]
        problems.append(crossed({name: np.array([x]) for name, x in _problem(mdp).items()}, length=length))
    table = stacked(problems)
    return Measured({"exact/cv": float(table["cv"].mean())}, {"rules": stacked(parts), "problems": table})


def _rows(length: int, rule: float, value: np.ndarray, curve: Curve, log_truth: float) -> dict[str, np.ndarray]:
    """A row per value."""
    named = {"value": value, "along": curve.along, "power": curve.power, "bias": curve.bias}
    return crossed({**named, "log_noise": np.log(curve.noise)}, length=length, rule=rule, log_truth=log_truth)


def others_mean(
    mdp: TabularMDP, critic: np.ndarray, alphas: Sequence[float], group: int, noise: float = 0.0
) -> list[Moments]:
    """Moments of VAPO's rule with the mean length of the other group - 1 answers to the prompt in place of the response's own.

    Prompts are the initial states. Given the prompt the others are independent of the response, so each estimator is a
    mixture of constant-lambda ones; the distribution of their mean is exact (a power of the Fourier transform of the length
    distribution), then reduced to `MOST_KNOTS` equally likely parts.
    """
    found = [Moments(np.zeros(mdp.shape), 0.0) for _ in alphas]
    for situation in np.flatnonzero(mdp.start):
        prompt = replace(mdp, start=np.eye(mdp.shape[1])[situation])
        weight, length = mean_length_of(prompt.length_probabilities, group - 1)
        lambdas = np.clip(1 - 1 / (np.array(alphas)[:, None] * length), 0.0, 1.0)
        means, squares = mixtures(prompt, critic, lambdas, weight * mdp.start[situation], noise)
        found = [Moments(old.mean + m, old.square + q) for old, m, q in zip(found, means, squares, strict=True)]
    return found


def mixtures(
    mdp: TabularMDP, critic: np.ndarray, lambdas: np.ndarray, weight: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """E g [M, T, S, A] and E|g|^2 [M] of M mixtures, each over K constant lambdas [M, K] with weights [K]."""
    mixed, parts = lambdas.shape
    lam, delta = lambdas.reshape(-1, 1, 1), mdp.td_errors(critic)
    mean_next, square_next = np.zeros((2, mixed * parts, mdp.shape[1]))
    gradient, square = np.zeros((mixed, *mdp.shape)), np.zeros(mixed)
    for t in reversed(range(mdp.shape[0])):
        going, to, pi = ~mdp.ends[t], mdp.next[t], mdp.policy[t]
        mean = delta[t] + lam * (going * mean_next[:, to])
        spread = lam**2 * (going * square_next[:, to]) + going * ((1 - lam) * noise) ** 2
        occupied = mdp.occupancy[t][:, None] * pi
        centre = (pi * mean).sum(2)
        deviation = mean - centre[:, :, None]
        gradient[:, t] = occupied * np.einsum("k,mksa->msa", weight, deviation.reshape(mixed, parts, *pi.shape))
        norms = (occupied * mdp.score_norms[t] * (mean**2 + spread + noise**2)).sum((1, 2))
        square += norms.reshape(mixed, parts) @ weight
        mean_next, square_next = centre, (pi * (spread + deviation**2)).sum(2)
    return gradient, square


def mean_length_of(probabilities: np.ndarray, answers: int) -> tuple[np.ndarray, np.ndarray]:
    """Probability and mean length of at most `MOST_KNOTS` parts of the distribution of the mean of `answers` lengths."""
    width = 1 << int(np.ceil(np.log2(answers * len(probabilities))))
    total = np.fft.irfft(np.fft.rfft(probabilities, width) ** answers, width).clip(0.0)
    total = np.where(total < 1e-14, 0.0, total)  # rounding errors of the transform
    total /= total.sum()
    part = np.minimum((total.cumsum() - total / 2) * MOST_KNOTS, MOST_KNOTS - 1).astype(int)
    weight = np.bincount(part, total, MOST_KNOTS)
    mean = np.bincount(part, total * np.arange(width) / answers, MOST_KNOTS)
    return weight[weight > 0], mean[weight > 0] / weight[weight > 0]


def _problem(mdp: TabularMDP) -> dict[str, float]:
    """Mean and coefficient of variation of length, J, and the correlation of length and reward."""
    tokens = np.arange(1, mdp.shape[0] + 1)
    ending = mdp.occupancy[:, :, None] * mdp.policy * mdp.ends
    chance, won = ending.sum((1, 2)), (ending * mdp.reward).sum((1, 2))
    mean, j = float(chance @ tokens), mdp.expected_return
    deviation = float(np.sqrt(max(chance @ tokens**2 - mean**2, 0.0)))
    tie = float(won @ tokens - mean * j) / max(deviation * np.sqrt(mdp.return_variance), 1e-300)
    return {"mean_length": mean, "cv": deviation / mean, "j": j, "tie": tie}
