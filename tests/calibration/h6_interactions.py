"""Limitation 6 with a known answer: updates that fall near convergence, and a factorial with one interaction."""

import numpy as np

from analysis.ablations.factorial import contrast
from analysis.tables.schema import COMPONENTS, Tables
from experiments.studies import core
from experiments.studies.h6_interactions import runs as study
from tests.calibration.planting import frame_of, tables

RUNS = frame_of(study.updates("full"))
STEPS = np.arange(0, core.STEPS["walk"]["full"] + 1, study.EVERY["full"])
BIASED = frame_of([spec for spec in study.factorial("full") if spec.world == "walk"])
POINTS = np.where(BIASED[list(COMPONENTS)].to_numpy(bool), 1, -1)

MAIN = np.array([0.05, 0.03, 0.01, 0.02, 0.005, 0.02, -0.01])
"""Main effects, AUC."""
MOST_LATE = 2.0
"""Share of falls at the last step over the run's mean; 0 at the first, rising evenly."""


def simulate_h6a(theta: float, rng: np.random.Generator, lumps: float = 8.0) -> Tables:
    """Falls are rare and late, and runs differ in how prone they are: a beta share per run, of `lumps` updates' precision."""
    prone = rng.beta(theta * lumps, (1 - theta) * lumps, len(RUNS)) if 0 < theta < 1 else np.full(len(RUNS), theta)
    delta, metrics = {}, {}
    for step in STEPS:
        fall = rng.random(len(RUNS)) < np.clip(prone * MOST_LATE * step / STEPS[-1], 0, 1)
        size = 0.05 * np.exp(-step / 8) * rng.gamma(2.0, 0.5, len(RUNS)) + 1e-5
        delta[int(step)] = np.where(fall, -size, size)
    metrics["large_update/delta_j"] = delta
    for name, value in {"tv": 0.05, "signal": 0.01, "noise": 0.01, "sampled_down": 0.2}.items():
        metrics[f"large_update/{name}"] = {step: np.full(len(RUNS), value) for step in delta}
    metrics["large_update/predicted"] = {step: np.abs(x) for step, x in delta.items()}
    metrics["val/exact_j"] = {step: np.full(len(RUNS), 1 - 0.85 * np.exp(-step / 6)) for step in delta}
    return tables(RUNS, {}, metrics)


def simulate_h6b(theta: float, rng: np.random.Generator, sigma: float = 0.06, level: float = 0.7) -> Tables:
    """Scores in [0, 1] with main effects, minus theta times the pair's contrast, levels of seeds, and noise of a run."""
    seed = BIASED["seed"].to_numpy() - BIASED["seed"].min()
    shared = 0.03 * rng.normal(size=seed.max() + 1)[seed]
    score = (
        level + shared + POINTS @ MAIN / 2 - theta / 2 * contrast(POINTS, "AB") + sigma * rng.normal(size=len(POINTS))
    )
    start = np.where(POINTS[:, 0] > 0, 0.05, 0.9)
    return tables(BIASED, {"auc": np.clip(score, 0.0, 1.0), "activity_value_pretraining": start})


SIMULATIONS = {"h6a": simulate_h6a, "h6b": simulate_h6b}
