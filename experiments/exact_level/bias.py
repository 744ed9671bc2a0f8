"""How a critic's error enters the gradient: as bias if it is frozen and depends on the state, otherwise as noise (h1b)."""

import numpy as np

from experiments.exact_level.curves import lambda_curve
from experiments.exact_level.family import member
from experiments.exact_level.measured import Measured, crossed, stacked
from experiments.exact_level.plans import Bias


def measure(plan: Bias, seed: int) -> Measured:
    """Relative bias |E g - grad J| / |grad J| of the gradient by lambda, at every length and scale of the error.

    Tables: `bias` with a row per length, scale and lambda; `problems` with a row per length: standard deviation of the
    error across the states of one position at scale 1 of the plan, J, and the mean length.
    """
    lambdas, parts, problems = np.array(plan.lambdas), [], []
    scale = plan.error.scale
    for length in plan.lengths:
        found = member(plan, length, seed)
        for size in (0.0, *plan.sizes):
            curve = lambda_curve(found.mdp, found.critic(size / scale), lambdas, plan.error.noise * size / scale)
            parts.append(crossed({"lambda": lambdas, **curve._asdict()}, length=length, size=size))
        chance = found.mdp.length_probabilities
        problems.append(
            crossed({"spread": np.array([found.spread()]), "j": np.array([found.mdp.expected_return])},
                    length=length, mean_length=float(chance @ np.arange(len(chance))))
        )  # fmt: skip
    tables = {"bias": stacked(parts), "problems": stacked(problems)}
    return Measured({"exact/spread": float(tables["problems"]["spread"].mean())}, tables)
