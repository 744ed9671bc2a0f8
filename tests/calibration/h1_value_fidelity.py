"""Simulated tables of limitation 1: critics with a planted excess, runs with a planted fall, twins with planted forgetting.

Spreads are those of preset quick, rounded up. Every base model has a random effect on its runs; errors are skewed as
squared errors are.
"""

import numpy as np

from analysis.tables.schema import Tables
from experiments.studies.h1_value_fidelity.runs import approximation, forgetting
from tests.calibration import exact_level
from tests.calibration.planting import base_effects, by_run, frame_of, tables

APPROXIMATION = frame_of([spec for spec in approximation("full") if spec.world == "lm"])
FORGETTING = frame_of([spec for spec in forgetting("full") if spec.world == "walk"])

BASE_SD = 0.05
"""Of a base model's effect; at the spread of seeds below, an intraclass correlation of 0.3."""
SEED_SD, PLACES_SD = 0.08, 0.12
"""Of an excess: between seeds, and of one measurement on some hundreds of places."""


def skewed(rng: np.random.Generator, sd: float, size: int) -> np.ndarray:
    """Mean 0, standard deviation sd, skewness 1: a shifted gamma distribution."""
    return sd * (rng.gamma(4.0, 1.0, size) - 4.0) / 2.0


def h1a(theta: float, rng: np.random.Generator) -> Tables:
    """Excess over the floor at both ends of a run, more on one task than on the other."""
    seeds, size = APPROXIMATION["seed"].to_numpy(), len(APPROXIMATION)
    level = by_run(rng.normal(0, SEED_SD, len(np.unique(seeds))), seeds) + base_effects(rng, APPROXIMATION, BASE_SD)
    task = np.where(APPROXIMATION["task"] == "chain", -0.04, 0.04)
    excess = {
        step: theta + level + task + side + skewed(rng, PLACES_SD, size) for step, side in ((0, 0.03), (30, -0.03))
    }
    floor = {step: np.clip(0.35 + rng.normal(0, 0.08, size), 0.05, 0.95) for step in (0, 30)}
    return tables(
        APPROXIMATION, {}, {"approximation_floor/excess_held_out": excess, "approximation_floor/fvu_held_out": floor}
    )


GROWTH_SD, TWIN_SD, START_SD = 0.12, 0.10, 0.15
"""Of the growth of E_rare - E_frequent: between seeds, of a single run beyond that, and of the level both twins start from."""


def h1c(theta: float, rng: np.random.Generator) -> Tables:
    """Growth on rare places of plain runs beyond their twins', in proportion to the rate of the policy."""
    runs = FORGETTING
    seeds, size = runs["seed"].to_numpy(), len(runs)
    number = len(np.unique(seeds))
    rate = runs["settings.policy_lr"].to_numpy() / 2e-3
    plain = (runs["variants"] == "").to_numpy()
    start = by_run(0.4 + skewed(rng, START_SD, number), seeds)
    usual = 0.4 + by_run(skewed(rng, START_SD, number), seeds)
    growth = rate * (0.05 + by_run(rng.normal(0, GROWTH_SD, number), seeds) + skewed(rng, TWIN_SD, size))
    shift = rate * by_run(rng.gamma(9, 0.4, number), seeds)
    return tables(
        runs,
        {},
        {
            "forgetting/fvu_rare_kept": {0: start, 60: start + growth + theta * rate * plain},
            "forgetting/fvu_frequent": {0: usual, 60: usual + 0.02 * rng.normal(size=size)},
            "forgetting/fvu_rare": {0: start},
            "forgetting/fvu_position_rare": {0: start + 0.2},
            "forgetting/shift": {0: 0.0, 60: shift},
        },
    )


SIMULATIONS = {"h1a": h1a, "h1b": exact_level.h1b, "h1c": h1c}
