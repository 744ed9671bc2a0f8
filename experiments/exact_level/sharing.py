"""How gradient bias depends on sharing logits across positions, and the error as a share of Var(V) (h1b)."""

import numpy as np

from experiments.exact_level.family import member
from experiments.exact_level.measured import Measured, columns
from experiments.exact_level.plans import Sharing
from experiments.exact_level.reductions import tied
from vapo_core.oracles.tabular import TabularMDP, constant_lambda


def measure(plan: Sharing, seed: int) -> Measured:
    """Relative bias |E g - grad J| / |grad J| at one lambda, with separate and with shared logits.

    Table `sharing`, a row per length: bias and j of the sampled problem, bias_shared and j_shared of the same problem with
    the first position's policy at every position; fvu = E e^2 / Var(V) over the tokens of the sampled problem.
    """
    rows = []
    for length in plan.lengths:
        found = member(plan, length, seed)
        one = tied(found.mdp)
        rows.append({
            "length": float(length), "fvu": fvu(found.mdp, found.error),
            "j": found.mdp.expected_return, "bias": bias(found.mdp, found.error, plan.lam, False),
            "j_shared": one.expected_return, "bias_shared": bias(one, found.error, plan.lam, True),
        })  # fmt: skip
    table = columns(rows)
    return Measured({"exact/fvu": float(table["fvu"].mean())}, {"sharing": table})


def bias(mdp: TabularMDP, error: np.ndarray, lam: float, shared: bool) -> float:
    """Relative bias under V + e, error [T, S]; shared logits add up the gradients [T, S, A] of all positions."""
    critic = mdp.values.copy()
    critic[:-1] += error
    truth, off = mdp.gradient, constant_lambda(mdp, critic, lam).mean - mdp.gradient
    if shared:
        truth, off = truth.sum(0), off.sum(0)
    return float(np.linalg.norm(off) / np.linalg.norm(truth))


def fvu(mdp: TabularMDP, error: np.ndarray) -> float:
    """E e^2 / Var(V), error [T, S], over the tokens of responses; the best constant critic has 1."""
    weight, values = mdp.occupancy / mdp.occupancy.sum(), mdp.values[:-1]
    centre = (weight * values).sum()
    return float((weight * error**2).sum() / (weight * (values - centre) ** 2).sum())
