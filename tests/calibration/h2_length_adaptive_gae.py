"""Limitation 2 with a known answer: scores that are quadratic in the logarithm of the horizon, a gap between two rules."""

import numpy as np

from analysis.tables.schema import Tables
from analysis.verdict import gates
from experiments.studies.h2_length_adaptive_gae import runs as study
from tests.calibration import exact_level
from tests.calibration.planting import frame_of, tables

JUDGED = [
    study.cell("full", seed, "mixed", horizon, adaptive)
    for seed in study.seeds.first("full", study.SEEDS["full"]["mixed"])
    for horizon in study.HORIZONS
    for adaptive in (True, False)
]
RUNS = frame_of([*JUDGED, *study.gate("full")])
LEVEL, BEND, BEST = 0.65, 0.006, 3.3
"""AUC at the best horizon, what a squared doubling away from it costs, and its logarithm to base 2."""
SEED_SD, RUN_SD = 0.02, 0.04
"""What a seed shifts all its runs by, and a run's own, skewed to the low side as failing runs are. Development seeds: 0.01 among
runs at the smallest alpha, 0.05 at the largest, which collapses now and then."""


def simulate_h2b(theta: float, rng: np.random.Generator, bend: float = BEND, run_sd: float = RUN_SD) -> Tables:
    """AUC in [0, 1]: constants are theta better than alphas, each at its best horizon."""
    adaptive = RUNS["length_adaptive_gae"].to_numpy(bool)
    alpha, lam = (RUNS[f"settings.{name}"].to_numpy(float) for name in ("alpha", "fixed_lambda"))
    doublings = np.where(adaptive, np.log2(alpha * study.WHOLE_LENGTH), -np.log2(1 - lam))
    _, seed = np.unique(RUNS["seed"], return_inverse=True)
    own = -run_sd * (rng.gamma(4.0, size=len(RUNS)) - 4.0) / 2.0
    auc = LEVEL + theta * ~adaptive - bend * (doublings - BEST) ** 2 + SEED_SD * rng.normal(size=seed.max() + 1)[seed]
    return tables(RUNS, {"auc": np.clip(auc + own, 0, 1), "activity_token_level_loss": 0.6})


def closed(given: Tables) -> Tables:
    """The same, with both ends of alpha alike in the gate's runs."""
    runs = given.runs
    own = runs["seed"].isin(gates.SEEDS)
    return given._replace(runs=runs.assign(auc=runs["auc"].where(~own, 0.5 + 0.001 * (runs["seed"] % 7))))


SIMULATIONS = {"h2a": exact_level.h2a, "h2b": simulate_h2b}
