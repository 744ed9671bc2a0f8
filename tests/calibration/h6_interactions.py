"""Limitation 6 with a known answer: updates that give back a share of their gain, and four cells with one interaction.

Spreads are those of runs with seeds 700 to 704, rounded up: arms of one seed lie within 0.05 AUC, seeds within 0.1.
"""

import numpy as np

from analysis.hypotheses.h6_interactions.tables import BANDS
from analysis.tables.schema import Tables
from experiments.studies.components import runs as components
from experiments.studies.h6_interactions import runs as study
from tests.calibration.planting import by_run, frame_of, tables

RUNS = frame_of(study.updates("full"))
STEPS = np.arange(0, study.STEPS + 1, study.EVERY["full"])
CELLS = frame_of(list(components.of_cells("triple", "full", components.of_length(128), components.pair_cells())))

LATER = (0.5, 1.0, 1.5)
"""Loss over gain in the three bands, over their mean: updates go wrong more often as less is left to gain."""
SPEED, SPEED_SD = 8.0, 0.2
"""RL steps in which 1 - J falls to 1/e, and the log-normal spread of it between runs."""


def simulate_h6a(theta: float, rng: np.random.Generator, shape: float = 4.0) -> Tables:
    """Rises and falls of one mean size; a run is prone to fall by a gamma factor of mean 1."""
    size, delta, start = len(RUNS), {}, {}
    prone, speed = rng.gamma(shape, 1 / shape, size), SPEED * np.exp(SPEED_SD * rng.normal(size=size))
    for step in map(int, STEPS):
        j = 1 - 0.88 * np.exp(-step / speed)
        band = sum((j >= low).astype(int) for low, _ in BANDS[1:])
        share = theta * np.asarray(LATER)[band]
        falls = rng.random(size) < np.clip(prone * share / (1 + share), 0, 0.95)
        change = 0.1 * (1 - j) * rng.gamma(2.0, 0.5, size) + 1e-5
        delta[step], start[step] = np.where(falls, -change, change), j
    metrics = {"large_update/delta_j": delta, "val/exact_j": start}
    for name, value in {"tv": 0.05, "signal": 0.01, "noise": 0.01, "sampled_down": 0.2}.items():
        metrics[f"large_update/{name}"] = {step: np.full(size, value) for step in delta}
    metrics["large_update/predicted"] = {step: np.abs(x) for step, x in delta.items()}
    return tables(RUNS, {}, metrics)


def simulate_h6b(theta: float, rng: np.random.Generator, sigma: float = 0.06, level: float = 0.6) -> Tables:
    """Scores in [0, 1]: two main effects, minus theta times the contrast, levels of seeds and regimes, noise of a run."""
    a, b = (np.where(CELLS[name].to_numpy(bool), 1, -1) for name in ("value_pretraining", "length_adaptive_gae"))
    seeds = CELLS["seed"].to_numpy()
    shared = by_run(0.1 * rng.normal(size=len(np.unique(seeds))), seeds)
    noise = np.where(CELLS["settings.responses_per_step"] == 32, 1.0, 0.5)
    score = level + shared + 0.015 * a + 0.01 * b - theta / 2 * a * b + sigma * noise * rng.normal(size=len(CELLS))
    return tables(CELLS, {"auc": np.clip(score, 0.0, 1.0), "activity_length_adaptive_gae": 0.05})


SIMULATIONS = {"h6a": simulate_h6a, "h6b": simulate_h6b}
