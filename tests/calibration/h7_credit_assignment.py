"""Limitation 7 with a known answer: times to a level of J that grow as a power of the decisions."""

import numpy as np

from analysis.tables.schema import Tables
from experiments.studies.h7_credit_assignment import runs as study
from tests.calibration import exact_level
from tests.calibration.planting import frame_of, tables

RUNS = frame_of(
    [
        study.credited("full", seed, decisions, arm)
        for seed in study.core.SEEDS["walk"]["full"]
        for decisions in study.DECISIONS
        for arm in study.CREDIT_ARMS[:2]
    ]
)
STEPS = np.arange(0, study.THRESHOLD_STEPS + 1, 2)
HEIGHT, EXPONENT, FIRST = 0.8, 1.1, 2.75
"""J that is timed, exponent of the step-level arm, and RL steps it takes at five decisions."""
SEED_SD, RUN_SD = 0.25, 0.10
"""Of log time: shared by both arms, and a run's own."""


def simulate_h7b(theta: float, rng: np.random.Generator, exponent: float = EXPONENT, run_sd: float = RUN_SD) -> Tables:
    """J rises to 1 with a time constant c decisions^b; runs slower than the last step are censored."""
    decisions = RUNS["dials.nearest"].to_numpy(float)
    token = (RUNS["variants"] == "values=fresh_error").to_numpy()
    seed = RUNS["seed"].to_numpy() - RUNS["seed"].min()
    cell = 3 * seed + np.searchsorted(study.DECISIONS, decisions)
    together = SEED_SD * rng.normal(size=cell.max() + 1)[cell]
    time = (
        FIRST * (decisions / 5) ** (exponent + theta * token) * np.exp(together + run_sd * rng.normal(size=len(RUNS)))
    )
    curve = np.clip(HEIGHT * (STEPS[:, None] / time) ** 0.7, 0.0, 0.999)
    metrics = {
        "val/exact_j": dict(zip(STEPS, curve, strict=True)),
        "credit/td_square": {int(STEPS[-1]): np.full(len(RUNS), 0.021)},
        "credit/td_square_boundary": {int(STEPS[-1]): np.full(len(RUNS), 0.006)},
    }
    return tables(RUNS, metrics=metrics)


SIMULATIONS = {"h7a": exact_level.h7a, "h7b": simulate_h7b}
