"""R2, R6, R9, R12: closed forms in the length of a response."""

import numpy as np
from scipy.signal import lfilter
from scipy.stats import nbinom

from experiments.exact_level.measured import columns
from vapo_core.oracles.tabular import adaptive


def credit_weight(seed: int) -> dict[str, np.ndarray]:
    """R2. x: tokens l; share of the reward that reaches the first token under VAPO's rule, by alpha (column alpha).

    formula: exp(-1/alpha) [1 + (1/alpha)(1 - 1/(2 alpha))/l]; found: lambda^(l-1), by running GAE over l tokens.
    """
    rows = []
    for alpha in (0.05, 0.1, 0.4, 0.5, 1.5):
        for length in np.unique(np.geomspace(4, 100_000, 25).astype(int)):
            delta = np.zeros(length)
            delta[-1] = 1.0
            lam = float(adaptive(alpha, length)[-1])
            limit = np.exp(-1 / alpha)
            term = (1 / alpha) * (1 - 1 / (2 * alpha)) / length
            found = float(lfilter([1.0], [1.0, -lam], delta[::-1])[-1])
            rows.append({"alpha": alpha, "x": length, "formula": 1 + term, "found": found / limit})
    return columns(rows)


def variance_of_reductions(seed: int) -> dict[str, np.ndarray]:
    """R6. x: correlation rho of token gradients; Var_token / Var_sequence, by the lengths' CV^2 (column cv2).

    formula: [(1-rho)/E l + rho (1 + CV^2)] / [(1-rho) E(1/l) + rho], with the moments of the lengths drawn; found:
    simulated batches of 256 responses, log-normal lengths of mean 100, each response's mean drawn with its own variance.
    """
    rng, rows, batch = np.random.default_rng([seed, 6]), [], 256
    for cv2 in (0.25, 0.9, 2.0):
        spread = np.sqrt(np.log(1 + cv2))
        length = np.exp(rng.normal(np.log(100) - spread**2 / 2, spread, size=(4000, batch))).round().clip(min=1)
        mean, inverse = float(length.mean()), float((1 / length).mean())
        cv2_drawn = float(length.var()) / mean**2
        for rho in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3):
            own = rng.normal(size=length.shape) * np.sqrt((1 - rho) / length + rho)
            token, sequence = (length * own).sum(1) / length.sum(1), own.mean(1)
            formula = ((1 - rho) / mean + rho * (1 + cv2_drawn)) / ((1 - rho) * inverse + rho)
            rows.append({"cv2": cv2, "x": rho, "formula": formula, "found": float(token.var() / sequence.var())})
    return columns(rows)


def left_of_a_constant_error(seed: int) -> dict[str, np.ndarray]:
    """R9. x: exact sweeps n; share left of a constant initial error 200 tokens before the end, by lambda_critic.

    formula: P(sum of n geometric(1 - lambda) jumps < d); found: n regressions on lambda-targets, one after the other.
    """
    distance, rows = 200, []
    for lam in (0.8, 0.95, 0.99, 1.0):
        error = np.ones(distance)
        for sweep in range(1, 101):
            delta = np.append(error[1:], 0.0) - error
            error = error + lfilter([1.0], [1.0, -lam], delta[::-1])[::-1]
            formula = float(nbinom.cdf(distance - 1 - sweep, sweep, 1 - lam)) if lam < 1 else 0.0
            rows.append({"lambda": lam, "x": sweep, "formula": formula, "found": float(error[0])})
    return columns(rows)


def share_of_blame(seed: int) -> dict[str, np.ndarray]:
    """R12. x: tokens l; share of the blame inside the erring step of 8 tokens, error halfway, true values.

    case 0, 1: VAPO's rule with alpha 0.05, 0.5; 2: lambda = 0.95; 3: lambda = 0. formula: (1 - lambda^w) /
    (1 - lambda^(j+1)); found: GAE over l tokens of which one loses 0.5.
    """
    width, rows = 8, []
    for length in (2**k for k in range(6, 18)):
        erring = length // 2
        delta = np.zeros(length)
        delta[erring] = -0.5
        rules = (float(adaptive(0.05, length)[-1]), float(adaptive(0.5, length)[-1]), 0.95, 0.0)
        for case, lam in enumerate(rules):
            blame = -lfilter([1.0], [1.0, -lam], delta[::-1])[::-1]
            found = blame[erring - width + 1 : erring + 1].sum() / blame.sum()
            formula = (1 - lam**width) / (1 - lam ** (erring + 1))
            rows.append({"case": case, "x": length, "formula": formula, "found": float(found)})
    return columns(rows)
