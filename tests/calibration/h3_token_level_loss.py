"""Limitation 3 with a known answer, spread, skew and signs as in the pilots on development seeds.

Text seeds have a base policy each. Its effect is shared by both tasks and all steps: `BASE` of the variance of a log ratio.
"""

import numpy as np
import pandas as pd

from analysis.hypotheses.h3_token_level_loss.tables import COVARIANCE, KL, NOISE, PLACES, RATIO
from analysis.tables.schema import Tables
from experiments.studies.h3_token_level_loss import runs as study
from tests.calibration.planting import frame_of, tables

WALK, TEXT = frame_of(study.walk("full")), frame_of(study.text("full"))
SPREAD = {"activity_token_level_loss": 0.6}
"""Coefficient of variation of length."""
ABOVE = {"stops early": (0.0, 0.02, 0.3), "wanders": (0.2, 0.8, 0.95)}
"""Cell -> probability that the covariance is above 0 at each place."""
BASE = 0.3


def of_seed(runs: pd.DataFrame, sd: float, rng: np.random.Generator) -> np.ndarray:
    """[N] a number by seed."""
    seed = runs["seed"].to_numpy() - runs["seed"].min()
    return sd * rng.normal(size=seed.max() + 1)[seed]


def skewed(sd: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """[N] mean 0, a long tail to the right: a gamma variable of shape 4, whose skewness is 1."""
    return sd * (rng.gamma(4.0, size=size) - 4) / 2


def simulate_h3a(theta: float, rng: np.random.Generator, shift: float = 0.0, sd: float = 0.35) -> Tables:
    """shift + theta where the covariance is above 0, shift - theta where it is below. Seeds of both cells have curvatures."""
    wanders = WALK["dials.trap_prior"].to_numpy() == study.CELLS["wanders"]["trap_prior"]
    measured = WALK["seed"].isin(study.SEEDS["wanders"]["full"]).to_numpy()
    level, ratio, covariance = of_seed(WALK, 0.1, rng), {}, {}
    for number, step in enumerate(PLACES):
        chance = np.where(wanders, ABOVE["wanders"][number], ABOVE["stops early"][number])
        sign = np.where(rng.random(len(WALK)) < chance, 1, -1)
        values = level + shift + theta * sign + skewed(sd, len(WALK), rng)
        ratio[step] = np.where(measured, values, np.nan)
        covariance[step] = np.where(measured, sign * rng.gamma(2.0, 0.25, len(WALK)), np.nan)
    return tables(WALK, SPREAD, {RATIO: ratio, COVARIANCE: covariance})


GROWING = (0.4, 1.1, 1.3)
"""Scatter of text by place, relative to its mean."""


def simulate_h3b(theta: float, rng: np.random.Generator, error: float = 0.25, sd: float = 0.4) -> Tables:
    """Noise and signal that vary by run and place; signals carry an error that may leave them below 0, noise a long tail.

    A run's log ratio scatters by sd about theta, `BASE` of its variance shared by all that one base policy gives, the rest
    `GROWING`, as do the errors of |E g|^2, which are `error` of it.
    """
    metrics: dict[str, dict[int, np.ndarray]] = {name: {} for name in NOISE}
    size, base = len(TEXT), of_seed(TEXT, sd * np.sqrt(BASE), rng)
    for number, step in enumerate(PLACES):
        log_ratio = theta + base + GROWING[number] * sd * np.sqrt(1 - BASE) * rng.normal(size=size)
        scale = np.exp(-number + 0.4 * rng.normal(size=size))
        for name, sign in (("sequence", 1), ("token", -1)):
            quarter = np.exp(sign * log_ratio / 4)  # half of it in the noise, half in the signal, of either reduction
            metrics[f"gradient_quality/trace_{name}"][step] = 30 * scale * quarter * rng.gamma(8.0, 1 / 8, size)
            wrong = GROWING[number] * error * rng.normal(size=size)
            metrics[f"gradient_quality/square_{name}"][step] = scale * (1 / quarter + wrong)
    return tables(TEXT, SPREAD, metrics)


PRICE = (0.02, 0.25, 0.5)
"""Scatter of the log price by place, nats."""


def simulate_h3c(theta: float, rng: np.random.Generator, missing: float = 0.02) -> Tables:
    """One mean per run, of measurements that scatter more the later they are, with a tail, a few of them missing."""
    level = theta + of_seed(WALK, 0.05, rng)
    curve = {
        step: np.where(rng.random(len(WALK)) < missing, np.nan, level + skewed(sd, len(WALK), rng))
        for step, sd in zip(PLACES, PRICE, strict=True)
    }
    return tables(WALK, SPREAD, {KL: curve})


SIMULATIONS = {"h3a": simulate_h3a, "h3b": simulate_h3b, "h3c": simulate_h3c}
