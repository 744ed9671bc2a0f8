"""The results of METHODS.md, section 2, R1 to R13: each formula compared with an independent computation of the same number.

Every table has the columns x, formula and found. If there are several curves, column `case` numbers them in the order of
the function's docstring. The seed determines everything that is sampled.
"""

from collections.abc import Callable

import numpy as np

from experiments.exact_level import theory_drift, theory_exact, theory_limits
from experiments.exact_level.measured import Measured
from experiments.exact_level.plans import Theory

RESULTS: dict[str, Callable[[int], dict[str, np.ndarray]]] = {
    "r1": theory_exact.bias_of_an_error,
    "r2": theory_limits.credit_weight,
    "r3": theory_exact.variance_under_exact_values,
    "r4": theory_exact.best_horizon,
    "r5": theory_exact.reductions,
    "r6": theory_limits.variance_of_reductions,
    "r7": theory_drift.drift_of_modes,
    "r8": theory_drift.trust_region,
    "r9": theory_limits.left_of_a_constant_error,
    "r10": theory_drift.coverage,
    "r11": theory_exact.own_length,
    "r12": theory_limits.share_of_blame,
    "r13": theory_drift.group_standard_deviation,
}
"""Result -> function of the seed."""


def measure(plan: Theory, seed: int) -> Measured:
    """The table of one result, and the largest difference in it."""
    table = RESULTS[plan.result](seed)
    return Measured({"exact/gap": float(np.abs(table["found"] - table["formula"]).max())}, {plan.result: table})
