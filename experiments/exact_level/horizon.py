"""The best credit horizon as a function of length, and what a rule can observe about it (h2a, h2b, R4)."""

import numpy as np

from experiments.exact_level.curves import lambda_curve
from experiments.exact_level.family import Member, member
from experiments.exact_level.measured import Measured, columns, crossed, stacked
from experiments.exact_level.plans import Horizon
from vapo_core.oracles.responses import sampled


def measure(plan: Horizon, seed: int) -> Measured:
    """Gradient moments along the horizon h = 1 / (1 - lambda), per length and scale of the error.

    Tables: `horizon` with a row per length, scale and h (0 stands for lambda = 1), from which Q at any batch follows;
    `observed` with a row per length and scale: estimates of the critic's error from `plan.observed` responses.
    """
    grid = np.geomspace(1.0, plan.longest, plan.points)
    lambdas, shown = np.append(1 - 1 / grid, 1.0), np.append(grid, 0.0)
    scale, parts, seen = plan.error.scale, [], []
    for length in plan.lengths:
        found = member(plan, length, seed)
        tokens, size = found.mdp.shape[0], float((found.mdp.gradient**2).sum())
        for sigma in plan.sizes:
            critic = found.critic(sigma / scale)
            curve = lambda_curve(found.mdp, critic, lambdas, plan.error.noise * sigma / scale)
            rows = {"h": shown, "along": curve.along, "power": curve.power, "log_noise": np.log(curve.noise)}
            parts.append(crossed(rows, length=tokens, size=sigma, log_truth=np.log(size)))
            seen.append({"length": tokens, "size": sigma, **_observed(plan, found, critic, seed)})
    observed = columns(seen)
    return Measured({"exact/return_variance": float(observed["return_variance"].mean())},
                    {"horizon": stacked(parts), "observed": observed})  # fmt: skip


def _observed(plan: Horizon, found: Member, critic: np.ndarray, seed: int) -> dict[str, float]:
    """Estimates from a batch: variance of the returns, and the excess of the squared TD errors over it, per token, reward^2.

    Under exact values the squares of a response's TD errors add up to Var(R) on average (R3); an independent error of
    variance s^2 per state adds about 2 s^2 per token.
    """
    mdp = found.mdp
    responses = sampled(mdp, plan.observed, np.random.default_rng([seed, mdp.shape[0], 2]))
    times = np.arange(mdp.shape[0])[:, None]
    values = np.where(responses.mask, critic[times, responses.states], 0.0)
    delta = np.diff(np.concatenate([values, np.zeros((1, plan.observed))]), axis=0)
    delta[responses.length - 1, np.arange(plan.observed)] += responses.reward
    square = float((np.where(responses.mask, delta, 0.0) ** 2).sum(0).mean())
    variance = float(responses.reward.var(ddof=1))
    return {"return_variance": variance, "log_excess": float(np.log(max(square - variance, 1e-12) / mdp.shape[0]))}
