"""R7, R8, R10, R13: drift of modes, trust region, coverage of sampling, and GRPO's standard deviation."""

from math import comb

import numpy as np

from experiments.exact_level.family import member
from experiments.exact_level.measured import columns
from experiments.exact_level.plans import Bias
from vapo_core.oracles.tabular import TabularMDP

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
"""Gauss-Hermite quadrature for a standard normal."""


def drift_of_modes(seed: int) -> dict[str, np.ndarray]:
    """R7. x: mu^2 eta^2 steps / B, variance of the log-odds; entropy left of two modes that are always right.

    formula: E H(sigmoid(z)) / ln 2, z normal with that variance; found: the positive-example loss's own steps, simulated.
    The formula holds while the modes' probabilities stay near 1/2; drift slows far from there.
    """
    rng, rows = np.random.default_rng([seed, 7]), []
    mu, steps, batch, runs = 0.1, 400, 64, 2000
    for variance in (0.01, 0.05, 0.2, 0.5, 1.2, 2.5, 4.7, 8.0):
        rate, logits = np.sqrt(variance * batch / steps) / mu, np.zeros((runs, 2))
        for _ in range(steps):
            p = _sigmoid(logits[:, 0] - logits[:, 1])
            off = rng.binomial(batch, p) / batch - p
            logits += mu * rate * np.stack([off, -off], 1)
        spread = np.sqrt(variance)
        formula = float((WEIGHTS * _entropy(_sigmoid(spread * NODES))).sum() / np.sqrt(2 * np.pi))
        found = _entropy(_sigmoid(logits[:, 0] - logits[:, 1]))
        rows.append({"x": variance, "formula": formula, "found": float(found.mean()),
                     "se": float(found.std(ddof=1) / np.sqrt(runs))})  # fmt: skip
    return columns(rows)


def trust_region(seed: int) -> dict[str, np.ndarray]:
    """R8. x: tokens l, fixed; |Delta J - surrogate| where the widest ratio along a random direction meets the clip.

    case 0: clip 0.2 / 0.2; 1: 0.2 / 0.28. formula: the bound 2 l (l - 1) TV^2 max|A|; found: the exact shift, below it.
    """
    rng, rows = np.random.default_rng([seed, 8]), []
    for length in (2, 4, 8, 16, 32, 64, 128, 256):
        mdp = member(Bias(measure="bias", lengths=(length,)), length, seed).mdp
        direction = rng.normal(size=mdp.shape)
        advantage = mdp.action_values - mdp.values[:-1][:, :, None]
        met = mdp.occupancy[:, :, None] * mdp.policy > 0
        for case, high in enumerate((0.2, 0.28)):
            size = _widest(mdp, direction, met, high)
            moved = _along(mdp, direction, size)
            gain = float((mdp.occupancy[:, :, None] * (moved.policy - mdp.policy) * advantage).sum())
            tv, most = 0.2 * high / (0.2 + high), float(np.abs(advantage[met]).max())
            found = abs(moved.expected_return - mdp.expected_return - gain)
            bound = 2 * length * (length - 1) * tv**2 * most
            rows.append({"case": case, "x": length, "formula": bound, "found": found})
    return {**columns(rows), "log_found": np.log(np.maximum(columns(rows)["found"], 1e-300))}


def _along(mdp: TabularMDP, direction: np.ndarray, size: float) -> TabularMDP:
    raised = mdp.policy * np.exp(size * direction)
    return TabularMDP(mdp.next, mdp.ends, mdp.reward, raised / raised.sum(2, keepdims=True), mdp.start)


def _widest(mdp: TabularMDP, direction: np.ndarray, met: np.ndarray, high: float) -> float:
    """Largest step at which every ratio stays within [0.8, 1 + high], by bisection."""
    inside, outside = 0.0, 2.0
    for _ in range(30):
        middle = (inside + outside) / 2
        ratio = _along(mdp, direction, middle).policy[met] / mdp.policy[met]
        good = ratio.min() >= 0.8 and ratio.max() <= 1 + high
        inside, outside = (middle, outside) if good else (inside, middle)
    return inside


def coverage(seed: int) -> dict[str, np.ndarray]:
    """R10. x: nats of rarity log(1/p) of the right mode; chance that N responses contain it, N = 64, 128, 8192 (column n).

    formula: 1 - (1 - p)^N; found: simulated batches.
    """
    rng, rows = np.random.default_rng([seed, 10]), []
    for number in (64, 128, 8192):
        for rarity in np.linspace(0.5, 13, 26):
            p = float(np.exp(-rarity))
            found = float((rng.binomial(number, p, 4000) > 0).mean())
            rows.append({"n": number, "x": rarity, "formula": 1 - (1 - p) ** number, "found": found})
    return columns(rows)


def group_standard_deviation(seed: int) -> dict[str, np.ndarray]:
    """R13. x: success probability p of a problem; GRPO's expected gradient in the log-odds of p, divided by p (1 - p).

    Column g: answers per problem. formula: 1/sqrt(p (1 - p)), the limit, slope of 2 arcsin(sqrt p); found: every outcome of
    g answers, standard deviation with n - 1 as the trainer's.
    """
    rows = []
    for answers in (4, 8, 16, 64):
        for p in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98):
            gradient = 0.0
            for hits in range(1, answers):
                rewards = (np.arange(answers) < hits).astype(float)
                standing = (rewards - rewards.mean()) / rewards.std(ddof=1)
                chance = comb(answers, hits) * p**hits * (1 - p) ** (answers - hits)
                gradient += chance * float(((rewards - p) * standing).mean())
            weight = p * (1 - p)
            rows.append({"g": answers, "x": p, "formula": weight**-0.5, "found": gradient / weight})
    return columns(rows)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Of two modes, over ln 2."""
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    return -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
