"""Simulated tables of limitation 1: critics a planted share behind, runs with a planted fall, twins with planted forgetting.

Spreads are those of development runs, rounded up. Errors are skewed as squared errors are. Every base model
has a random effect on its runs.
"""

import numpy as np
import pandas as pd

from analysis.tables.schema import Tables
from experiments.studies.h1_value_fidelity.runs import LONG_WALK, approximation, forgetting
from tests.calibration import exact_level
from tests.calibration.planting import base_effects, by_run, frame_of, tables

APPROXIMATION = frame_of(
    [spec for spec in approximation("full") if spec.world == "lm" and spec.task.dials != LONG_WALK]
)
FORGETTING = frame_of([spec for spec in forgetting("full") if spec.world == "walk"])

ICC = 0.3
"""Share of the variance between runs of text that is their base model's."""
BEHIND_SD, PLACES_SD = 0.25, 0.15
"""Of how far a critic is behind: between runs, and of one measurement on some hundreds of places."""


def skewed(rng: np.random.Generator, sd: float, size: int) -> np.ndarray:
    """Mean 0, standard deviation sd, skewness 1: a shifted gamma distribution."""
    return sd * (rng.gamma(4.0, 1.0, size) - 4.0) / 2.0


def of_bases(rng: np.random.Generator, sd: float, runs: pd.DataFrame) -> np.ndarray:
    """[N] deviations of runs, sd in all, of which ICC of the variance is their base model's."""
    return base_effects(rng, runs, sd * ICC**0.5) + skewed(rng, sd * (1 - ICC) ** 0.5, len(runs))


def h1a(theta: float, rng: np.random.Generator) -> Tables:
    """How far the critic is behind after RL, more on one task than on the other; before it, it is ahead."""
    size = len(APPROXIMATION)
    level = theta + of_bases(rng, BEHIND_SD, APPROXIMATION) + np.where(APPROXIMATION["task"] == "chain", -0.04, 0.04)
    behind = {step: level + side + skewed(rng, PLACES_SD, size) for step, side in ((0, -0.8), (30, 0.0))}
    floored = APPROXIMATION["probes"].str.contains("approximation_floor").to_numpy()
    floor = {step: np.where(floored, np.clip(0.25 + rng.normal(0, 0.08, size), 0.05, 0.95), np.nan) for step in (0, 30)}
    return tables(APPROXIMATION, {}, {"baseline_error/behind_train": behind, "approximation_floor/fvu_held_out": floor})


GROWTH_SD, RUN_SD, START_SD = 0.10, 0.10, 0.15
"""Of the growth on rare places: between seeds, of a single run beyond that, and of the level both twins start from."""


def h1c(theta: float, rng: np.random.Generator) -> Tables:
    """Plain runs whose error on rare places grows by theta, in proportion to the rate of the policy, and twins whose does not.

    Both parts of the estimand are theta, where a smaller of two is missed most easily.
    """
    runs = FORGETTING
    seeds, size = runs["seed"].to_numpy(), len(runs)
    number = len(np.unique(seeds))
    rate = runs["settings.policy_lr"].to_numpy() / 2e-3
    plain = (runs["variants"] == "").to_numpy()
    start = by_run(0.4 + skewed(rng, START_SD, number), seeds)
    usual = 0.4 + by_run(skewed(rng, START_SD, number), seeds)
    grown = rate * (by_run(rng.normal(0, GROWTH_SD, number), seeds) + skewed(rng, RUN_SD, size) + theta * plain)
    frequent = usual + 0.02 * rng.normal(size=size)
    shift = rate * by_run(rng.gamma(9, 0.4, number), seeds)
    return tables(
        runs,
        {},
        {
            "forgetting/fvu_rare_kept": {0: start, 60: start + grown},
            "forgetting/fvu_frequent": {0: usual, 60: frequent},
            "forgetting/fvu_rare": {0: start},
            "forgetting/fvu_position_rare": {0: start + 0.2},
            "forgetting/var_v": {0: 0.1, 60: 0.1},
            "forgetting/shift": {0: 0.0, 60: shift},
        },
    )


SIMULATIONS = {"h1a": h1a, "h1b": exact_level.h1b, "h1c": h1c}
