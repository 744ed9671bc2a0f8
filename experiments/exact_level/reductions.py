"""Token mean and sequence mean: which has the higher gradient quality, and why (h3b, R5, R6)."""

from dataclasses import replace

import numpy as np

from experiments.exact_level.family import member
from experiments.exact_level.measured import Measured, columns
from experiments.exact_level.plans import Reductions
from vapo_core.oracles.responses import Responses, sampled
from vapo_core.oracles.tabular import TabularMDP, by_length

CHUNK = 1000
"""Simulated responses per chunk, which bounds memory."""


def measure(plan: Reductions, seed: int) -> Measured:
    """Quality and relative variance of both reductions, per length and lambda.

    Table `reductions`: log_quality = log[Q_token / Q_sequence] at B responses; log_spread = log ratio of tr S / |G|^2,
    each relative to its own expected gradient; log_noise = log ratio of tr S over the component along grad J squared;
    cos_token, cos_sequence to grad J; rho, correlation of token gradients within a response, 0 where every position has
    its own logits; cv, mean length, mean of 1/l; log_formula = log of R6's ratio of variances at that rho.
    """
    rows = []
    for length in plan.lengths:
        found = member(plan, length, seed)
        mdp = tied(found.mdp) if plan.shared else found.mdp
        for lam in plan.lambdas:
            critic = mdp.values.copy()
            critic[:-1] += found.error
            both = _simulated(plan, mdp, critic, lam, seed) if plan.shared else _exact(plan, mdp, critic, lam)
            rows.append({"length": length, "lambda": lam, **both})
    table = columns(rows)
    return Measured({"exact/cv": float(table["cv"].mean())}, {"reductions": table})


def tied(mdp: TabularMDP) -> TabularMDP:
    """The same problem under one policy for all positions."""
    return replace(mdp, policy=np.broadcast_to(mdp.policy[0], mdp.shape).copy())


def _exact(plan: Reductions, mdp: TabularMDP, critic: np.ndarray, lam: float) -> dict[str, float]:
    """From exact moments; token mean's denominator by the delta method. Scores of different tokens are orthogonal."""
    from vapo_core.oracles.batches import token_mean  # needs torch, specs do not

    tokens, constant = np.arange(mdp.shape[0] + 1), np.full(mdp.shape[0] + 1, lam)
    token = token_mean(mdp, critic, constant, plan.batch)
    sequence = by_length(mdp, critic, constant, np.divide(1.0, tokens, where=tokens > 0, out=np.zeros(len(tokens))))
    spread = (token.square - token.mean_square) * plan.batch, sequence.variance()
    truth, chance = mdp.gradient, mdp.length_probabilities[1:]
    return _row((token.mean, sequence.mean), spread, truth, plan.batch, 0.0, chance, tokens[1:])


def _simulated(plan: Reductions, mdp: TabularMDP, critic: np.ndarray, lam: float, seed: int) -> dict[str, float]:
    """From simulated responses, with one set of logits for all positions; token mean by the delta method."""
    rng, parts = np.random.default_rng([seed, mdp.shape[0], 3]), []
    for _ in range(plan.samples // CHUNK):
        responses = sampled(mdp, CHUNK, rng)
        parts.append(response_gradients(mdp, responses, critic, lam))
    summed, own, length = (np.concatenate(column) for column in zip(*parts, strict=True))
    number, expected = len(length), float(length.mean())
    ratio = summed.mean(0) / expected
    residual = (summed - ratio * length[:, None]) / expected
    scaled = summed / length[:, None]
    spread = tuple(float(((x - x.mean(0)) ** 2).sum(1).mean()) * number / (number - 1) for x in (residual, scaled))
    pairs = ((summed**2).sum(1) - own).mean() / (length * (length - 1)).mean()
    rho = float(pairs / (own.mean() / expected))
    truth = mdp.gradient.sum(0).ravel()
    chance = np.bincount(length, minlength=mdp.shape[0] + 1)[1:] / number
    return _row((ratio, scaled.mean(0)), spread, truth, plan.batch, rho, chance, np.arange(1, len(chance) + 1))


def response_gradients(
    mdp: TabularMDP, responses: Responses, critic: np.ndarray, lam: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per response N: [N, S A] sum of token gradients by the shared logits, [N] sum of their squared norms, [N] length."""
    horizon, situations, actions = mdp.shape
    mask, states = responses.mask, responses.states
    values = np.where(mask, critic[np.arange(horizon)[:, None], states], 0.0)
    delta = np.diff(np.concatenate([values, np.zeros((1, values.shape[1]))]), axis=0)
    delta[responses.length - 1, np.arange(values.shape[1])] += responses.reward
    advantage, follow = np.zeros_like(delta), np.zeros(values.shape[1])
    for t in reversed(range(horizon)):
        follow = np.where(mask[t], delta[t] + lam * follow, 0.0)
        advantage[t] = follow
    row = np.broadcast_to(np.arange(values.shape[1]), states.shape)
    taken = np.zeros((values.shape[1], situations, actions))
    here = np.zeros((values.shape[1], situations))
    np.add.at(taken, (row, states, responses.actions), advantage)
    np.add.at(here, (row, states), advantage)
    summed = (taken - here[:, :, None] * mdp.policy[0]).reshape(len(here), -1)
    norms = mdp.score_norms[0][states, responses.actions]
    return summed, (norms * advantage**2).sum(0), responses.length


def _row(
    means: tuple[np.ndarray, np.ndarray], spread: tuple[float, ...], truth: np.ndarray, batch: int, rho: float,
    chance: np.ndarray, tokens: np.ndarray,
) -> dict[str, float]:  # fmt: skip
    """Quality of both reductions; `spread` is the trace of the covariance of one response's contribution."""
    size = float((truth**2).sum())
    power = [float((x**2).sum()) for x in means]
    along = [float((x * truth).sum()) ** 2 / size for x in means]
    quality = [a / (p + s / batch) for a, p, s in zip(along, power, spread, strict=True)]
    mean, inverse = float(chance @ tokens), float(chance @ (1 / tokens))
    cv2 = float(chance @ tokens**2) / mean**2 - 1
    formula = ((1 - rho) / mean + rho * (1 + cv2)) / ((1 - rho) * inverse + rho)
    return {
        "log_quality": float(np.log(quality[0] / quality[1])),
        "log_spread": float(np.log(spread[0] / power[0]) - np.log(spread[1] / power[1])),
        "log_noise": float(np.log(spread[0] / along[0]) - np.log(spread[1] / along[1])),
        "cos_token": float(np.sqrt(along[0] / power[0])),
        "cos_sequence": float(np.sqrt(along[1] / power[1])),
        "log_formula": float(np.log(formula)),
        "log_variance": float(np.log(spread[0] / spread[1])),
        "rho": rho, "cv": float(np.sqrt(max(cv2, 0.0))), "mean_length": mean, "mean_inverse": inverse,
    }  # fmt: skip
