"""Limitation 2 with a known answer: scores that are quadratic in the logarithm of the horizon, a gap between two rules."""

import numpy as np

from analysis.tables.schema import Tables
from experiments.studies.h2_length_adaptive_gae import runs as study
from tests.calibration import exact_level
from tests.calibration.planting import frame_of, tables

RUNS = frame_of(
    [
        study.cell("full", seed, "mixed", horizon, adaptive)
        for seed in study.core.SEEDS["walk"]["full"]
        for horizon in study.HORIZONS
        for adaptive in (True, False)
    ]
)
LEVEL, BEND, BEST = 0.72, 0.006, 3.3
"""AUC at the best horizon, what a squared doubling away from it costs, and its logarithm to base 2."""
SEED_SD, RUN_SD = 0.02, 0.015
"""What a seed shifts all its runs by, and a run's own."""


def simulate_h2b(theta: float, rng: np.random.Generator, bend: float = BEND) -> Tables:
    """AUC in [0, 1]: constants are theta better than alphas, each at its best horizon."""
    adaptive = RUNS["length_adaptive_gae"].to_numpy(bool)
    alpha, lam = (RUNS[f"settings.{name}"].to_numpy(float) for name in ("alpha", "fixed_lambda"))
    doublings = np.where(adaptive, np.log2(alpha * study.WHOLE_LENGTH), -np.log2(1 - lam))
    seed = RUNS["seed"].to_numpy() - RUNS["seed"].min()
    auc = LEVEL + theta * ~adaptive - bend * (doublings - BEST) ** 2 + SEED_SD * rng.normal(size=seed.max() + 1)[seed]
    auc = np.clip(auc + RUN_SD * rng.normal(size=len(RUNS)), 0, 1)
    return tables(RUNS, {"auc": auc, "activity_token_level_loss": 0.6})


SIMULATIONS = {"h2a": exact_level.h2a, "h2b": simulate_h2b}
