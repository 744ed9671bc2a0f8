"""Simulated tables of limitation 5: a planted excess out of distribution, and arms that differ by a planted accuracy there.

Spreads are those of preset quick, rounded up; bases as in `h1_value_fidelity`.
"""

import numpy as np

from analysis.tables.schema import Tables
from experiments.studies.core import OFTEN
from experiments.studies.h5_generalization.runs import ARMS, arms, transfer
from tests.calibration.h1_value_fidelity import skewed
from tests.calibration.planting import base_effects, by_run, frame_of, tables

TRANSFER = frame_of([spec for spec in transfer("full") if spec.world == "lm" and not spec.task.dials])
PATHS = frame_of([spec for spec in arms("full") if spec.world == "lm"])

BASE_SD = 0.05
"""Of a base model's effect; at the spread of seeds below, an intraclass correlation of 0.3."""
SEED_SD, PLACES_SD = 0.08, 0.10
PROBLEMS = 1024
"""Of each split, one answer each."""
STEPS = np.arange(0, 31, OFTEN)
RUN_SD = 0.02
"""Of a run's accuracy out of distribution around the common curve."""


def h5a(theta: float, rng: np.random.Generator) -> Tables:
    """Matched excess of two splits at both ends of a run."""
    seeds, size = TRANSFER["seed"].to_numpy(), len(TRANSFER)
    level = by_run(rng.normal(0, SEED_SD, len(np.unique(seeds))), seeds) + base_effects(rng, TRANSFER, BASE_SD)
    metrics = {}
    for split, side in (("ood_operator", 0.03), ("ood_composition", -0.03)):
        excess = {step: theta + level + side + skewed(rng, PLACES_SD, size) for step in (0, 30)}
        metrics[f"value_transfer/excess_{split}"] = excess
        metrics[f"value_transfer/effective_{split}"] = {step: rng.uniform(0.6, 0.95, size) for step in (0, 30)}
    return tables(TRANSFER, {}, metrics)


def h5b(theta: float, rng: np.random.Generator) -> Tables:
    """Accuracies of three arms that learn at different speeds along one curve, vapo `theta` above it out of distribution."""
    runs, seeds, size = PATHS, PATHS["seed"].to_numpy(), len(PATHS)
    arm = np.array([ARMS.index(recipe) for recipe in runs["recipe"]])
    start = 0.34 + base_effects(rng, runs, BASE_SD) / 3
    gain = np.array([0.24, 0.26, 0.28])[arm] + 0.03 * rng.normal(size=size)
    speed = np.array([5.0, 7.0, 6.0])[arm] * np.exp(0.15 * rng.normal(size=size))
    own = by_run(RUN_SD * rng.normal(size=len(np.unique(seeds))), seeds) + RUN_SD * rng.normal(size=size)
    found: dict[str, dict[int, np.ndarray]] = {}

    def seen(name: str, step: int, chance: np.ndarray) -> None:
        share = rng.binomial(PROBLEMS, np.clip(chance, 0.0, 1.0)) / PROBLEMS
        found.setdefault(f"generalization/accuracy_{name}", {})[step] = share

    for step in STEPS:
        inside = start + gain * (1 - np.exp(-step / speed))
        outside = 0.2 + 0.7 * (inside - start) + own + theta * (arm == 0)
        seen("held_out", int(step), inside)
        seen("train", int(step), inside + 0.01 + 0.0005 * step)
        seen("ood_operator", int(step), outside + 0.05)
        seen("ood_composition", int(step), outside - 0.05)
    return tables(runs, {}, found)


SIMULATIONS = {"h5a": h5a, "h5b": h5b}
