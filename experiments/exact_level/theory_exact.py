"""R1, R3, R4, R5, R11 on sampled problems: expectations by dynamic programming, compared with their formulas."""

import numpy as np

from experiments.exact_level.curves import lambda_curve
from experiments.exact_level.family import Member, member
from experiments.exact_level.measured import columns
from experiments.exact_level.plans import Bias, Error, Horizon
from vapo_core.oracles.tabular import TabularMDP, adaptive, by_length, constant_lambda

LAMBDAS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0)


def bias_of_an_error(seed: int) -> dict[str, np.ndarray]:
    """R1. x: lambda; relative bias of the gradient at 64 tokens, fixed length (case 0 to 2) or variable (3 to 5).

    Errors in that order: of the state, sd 0.1; of position alone, sd 0.1; constant 0.1. formula: the expectation of
    (1 - lambda) sum_k lambda^k e_{t+1+k} given state and action; found: of the estimator itself, less grad J.
    """
    rows, case = [], 0
    for variable in (False, True):
        for kind in ("state", "position", "constant"):
            plan = Bias(measure="bias", variable=variable, error=Error(kind=kind))
            problem = member(plan, 64, seed)
            for lam in LAMBDAS:
                found = constant_lambda(problem.mdp, problem.critic(), lam).bias(problem.mdp.gradient)
                ahead = _ahead(problem, lam)
                formula = float(np.linalg.norm(ahead) / np.linalg.norm(problem.mdp.gradient))
                rows.append({"case": case, "x": lam, "formula": formula, "found": found})
            case += 1
    return columns(rows)


def _ahead(problem: Member, lam: float) -> np.ndarray:
    """[T, S, A] sum_t E[psi_t (1 - lambda) sum_k lambda^k e_{t+1+k}], the errors after the end being 0."""
    mdp, found = problem.mdp, np.zeros(problem.mdp.shape)
    error = np.concatenate([problem.error, np.zeros((1, mdp.shape[1]))])
    later = np.zeros(mdp.shape[1])
    for t in reversed(range(mdp.shape[0])):
        to = mdp.next[t]
        tail = np.where(mdp.ends[t], 0.0, (1 - lam) * error[t + 1][to] + lam * later[to])
        later = (mdp.policy[t] * tail).sum(1)
        found[t] = mdp.occupancy[t][:, None] * mdp.policy[t] * (tail - later[:, None])
    return found


def variance_under_exact_values(seed: int) -> dict[str, np.ndarray]:
    """R3. x: tokens; sum over a response of the squared TD errors under exact values, whose formula is Var(R).

    case 0: fixed length, 1: variable. Columns q_0 and q_95: gradient quality of 512 responses at lambda 0 and 0.95.
    """
    rows = []
    for case, variable in enumerate((False, True)):
        for length in (16, 64, 256, 1024):
            mdp = member(Bias(measure="bias", variable=variable), length, seed).mdp
            delta = mdp.td_errors(mdp.values)
            found = float((mdp.occupancy[:, :, None] * mdp.policy * delta**2).sum())
            spread = float(mdp.start @ (mdp.values[0] - mdp.expected_return) ** 2)  # between prompts: V(s_0) is known
            quality = lambda_curve(mdp, mdp.values, np.array([0.0, 0.95])).quality(512)
            rows.append({"case": case, "x": length, "formula": mdp.return_variance - spread, "found": found,
                         "q_0": float(quality[0]), "q_95": float(quality[1])})  # fmt: skip
    return columns(rows)


def best_horizon(seed: int) -> dict[str, np.ndarray]:
    """R4. x: tokens; horizon of the highest gradient quality, state error of sd 0.1, by the batch B (column b).

    formula: (4 sigma^2 tau^2 l n / v)^(1/3) with tau one decision and n = B times the mean chance of a state that is met.
    """
    plan, rows = Horizon(measure="horizon"), []
    grid = np.geomspace(1, 3000, 90)
    for length in (32, 64, 128, 256, 512, 1024, 2048):
        problem = member(plan, length, seed)
        curve = lambda_curve(problem.mdp, problem.critic(), 1 - 1 / grid)
        met, v = float((problem.mdp.occupancy**2).sum() / length), problem.mdp.return_variance
        for batch in (64, 512, 4096):
            found = float(grid[curve.quality(batch).argmax()])
            formula = (4 * 0.1**2 * length * batch * met / v) ** (1 / 3)
            rows.append({"b": batch, "x": length, "formula": formula, "found": found})
    return columns(rows)


def reductions(seed: int) -> dict[str, np.ndarray]:
    """R5. x: constant added to the baseline, reward; cosine to grad J at lambda = 1 under an exact critic plus it.

    case 0: token mean with a large batch, formula 1. case 1: sequence mean; formula: cosine of grad E[(R - x)/l] less what
    the exact critic takes off, that is of the direction without x less x grad E[1/l].
    """
    mdp = member(Bias(measure="bias", variable=True), 16, seed).mdp
    tokens = np.arange(mdp.shape[0] + 1)
    inverse = np.divide(1.0, tokens, where=tokens > 0, out=np.zeros(len(tokens)))
    ones, exact = np.ones(len(tokens)), mdp.gradient
    pressure, straight = _gradient_of_inverse(mdp), by_length(mdp, mdp.values, ones, inverse).mean
    rows = []
    for shift in (-0.5, -0.25, 0.0, 0.25, 0.5):
        critic = mdp.values.copy()
        critic[:-1] += shift
        token, sequence = by_length(mdp, critic, ones).mean, by_length(mdp, critic, ones, inverse).mean
        rows.append({"case": 0, "x": shift, "formula": 1.0, "found": _cosine(token, exact)})
        formula = _cosine(straight - shift * pressure, exact)
        rows.append({"case": 1, "x": shift, "formula": formula, "found": _cosine(sequence, exact)})
    return columns(rows)


def _gradient_of_inverse(mdp: TabularMDP) -> np.ndarray:
    """[T, S, A] grad E[1/l]: the same problem with the reward 1/l for stopping after l tokens."""
    reward = np.where(mdp.ends, 1 / np.arange(1, mdp.shape[0] + 1)[:, None, None], 0.0)
    return TabularMDP(mdp.next, mdp.ends, reward, mdp.policy, mdp.start).gradient


def own_length(seed: int) -> dict[str, np.ndarray]:
    """R11. x: mean tokens; relative bias of VAPO's rule under an exact critic, by alpha (column alpha).

    formula: sum_k Cov(lambda(l)^k, delta_{t+k} | s_t, a_t), the expectation with the response's own length less that with the
    length of another response of the same state and action; found: of the estimator itself, less grad J. Columns cosine: of that
    bias to grad E[l]; tie: correlation of length and reward.
    """
    rows = []
    for length in (8, 16, 32, 64, 128):
        mdp = member(Bias(measure="bias", variable=True), length, seed).mdp
        longer = _gradient_of_length(mdp)
        for alpha in (0.05, 0.5):
            lam = adaptive(alpha, mdp.shape[0])
            bias = by_length(mdp, mdp.values, lam).mean - mdp.gradient
            formula = float(np.linalg.norm(covariance(mdp, lam)) / np.linalg.norm(mdp.gradient))
            found = float(np.linalg.norm(bias) / np.linalg.norm(mdp.gradient))
            chance = float(mdp.length_probabilities @ np.arange(mdp.shape[0] + 1))
            rows.append({"alpha": alpha, "x": chance, "formula": formula, "found": found,
                         "cosine": _cosine(bias, longer), "tie": _tie(mdp)})  # fmt: skip
    return columns(rows)


def covariance(mdp: TabularMDP, lam: np.ndarray) -> np.ndarray:
    """[T, S, A] sum_t E[psi_t sum_{k>=1} Cov(lambda(l)^k, delta_{t+k} | s_t, a_t)] under exact values.

    Given state and action the mean of delta_{t+k} is 0, so the covariance is E[lambda(l)^k delta_{t+k}]: by length, one
    possible length at a time.
    """
    horizon, situations, _ = mdp.shape
    delta, lengths = mdp.td_errors(mdp.values), np.arange(1, horizon + 1)[:, None, None]
    power, found = lam[1:, None, None], np.zeros(mdp.shape)
    chance, ahead = np.zeros((2, horizon, situations))  # P(l | here), E[sum_{k>=0} lambda^k delta_{t+k}; l]
    for t in reversed(range(horizon)):
        going, to, pi = ~mdp.ends[t], mdp.next[t], mdp.policy[t]
        later = power * np.where(going, ahead[:, to], 0.0)
        total = later.sum(0)
        found[t] = mdp.occupancy[t][:, None] * pi * (total - (pi * total).sum(1, keepdims=True))
        p = np.where(going, chance[:, to], lengths == t + 1)
        chance, ahead = (pi * p).sum(2), (pi * (delta[t] * p + later)).sum(2)
    return found


def _gradient_of_length(mdp: TabularMDP) -> np.ndarray:
    """[T, S, A] grad E[l]."""
    reward = np.where(mdp.ends, np.arange(1.0, mdp.shape[0] + 1)[:, None, None], 0.0)
    return TabularMDP(mdp.next, mdp.ends, reward, mdp.policy, mdp.start).gradient


def _tie(mdp: TabularMDP) -> float:
    """Correlation of length and reward."""
    tokens = np.arange(1, mdp.shape[0] + 1)
    ending = mdp.occupancy[:, :, None] * mdp.policy * mdp.ends
    chance, won = ending.sum((1, 2)), (ending * mdp.reward).sum((1, 2))
    mean = float(chance @ tokens)
    variance = float(chance @ tokens**2) - mean**2
    return (float(won @ tokens) - mean * mdp.expected_return) / float(np.sqrt(variance * mdp.return_variance))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))
