"""Limitation 3 with a known answer: ratios that scatter by run and by measurement, some of them missing near convergence."""

import numpy as np
import pandas as pd

from analysis.tables.schema import Tables
from experiments.studies import core
from experiments.studies.h3_token_level_loss import runs as study
from tests.calibration.planting import frame_of, tables

WALK, TEXT = frame_of(study.walk("full")), frame_of(study.text("full"))
SPREAD = {"activity_token_level_loss": 0.6}
"""Coefficient of variation of length."""
WALK_STEPS = range(0, core.STEPS["walk"]["full"] + 1, study.EVERY["full"])
TEXT_STEPS = range(0, core.STEPS["lm"]["full"] + 1, core.EVERY["full"])

LATE_MISSING = 0.6
"""Share of measurements that do not resolve a slope at the last step; none at the first, rising evenly."""


def of_seed(runs: pd.DataFrame, sd: float, rng: np.random.Generator) -> np.ndarray:
    """[N] a number by seed."""
    seed = runs["seed"].to_numpy() - runs["seed"].min()
    return sd * rng.normal(size=seed.max() + 1)[seed]


def measured(level: np.ndarray, sd: float, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """A curve about a level [N] with noise of each measurement, heavy-tailed, some missing."""
    curve = {}
    for step in WALK_STEPS:
        values = level + sd * rng.standard_t(5, len(level)) / np.sqrt(5 / 3)
        missing = rng.random(len(level)) < LATE_MISSING * step / max(WALK_STEPS)
        curve[step] = np.where(missing, np.nan, values)
    return curve


def simulate_h3a(theta: float, rng: np.random.Generator, tilt: float = 0.0) -> Tables:
    """theta in both strata; with a tilt, theta + tilt where the covariance is above 0 and theta - tilt below."""
    curve = measured(theta + of_seed(WALK, 0.1, rng), 0.5, rng)
    sign = {step: rng.choice([-1, 1], len(WALK)) for step in curve}
    ratio = {step: values + tilt * sign[step] for step, values in curve.items()}
    covariance = {step: s * rng.gamma(2.0, 0.2, len(WALK)) for step, s in sign.items()}
    metrics = {"curvature/log_ratio": ratio, "curvature/length_covariance_apart": covariance}
    return tables(WALK, SPREAD, metrics)


def simulate_h3b(theta: float, rng: np.random.Generator, noise: float = 0.3) -> Tables:
    """Useful power falls a hundredfold along training, varies by run, and is estimated with noise that leaves it negative."""
    metrics: dict[str, dict[int, np.ndarray]] = {}
    shared = {step: np.exp(-step / 7 + rng.normal(size=len(TEXT)) / 2) for step in TEXT_STEPS}
    for name, shift in (("useful_token", theta / 2), ("useful_sequence", -theta / 2)):
        own = {step: np.exp(shift + 0.4 * rng.normal(size=len(TEXT)) - 0.08) for step in TEXT_STEPS}
        metrics[f"gradient_quality/{name}"] = {
            step: shared[step] * (own[step] + noise * rng.normal(size=len(TEXT))) for step in TEXT_STEPS
        }
    return tables(TEXT, SPREAD, metrics)


def simulate_h3c(theta: float, rng: np.random.Generator, noise: float = 0.7) -> Tables:
    """One mean per run, of measurements that scatter widely."""
    return tables(WALK, SPREAD, {"kl_per_gain/log_ratio": measured(theta + of_seed(WALK, 0.15, rng), noise, rng)})


SIMULATIONS = {"h3a": simulate_h3a, "h3b": simulate_h3b, "h3c": simulate_h3c}
