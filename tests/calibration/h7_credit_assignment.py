"""Limitation 7 with a known answer: times to a level of J that grow as a power of the decisions."""

import numpy as np
import pandas as pd

from analysis.tables.schema import Tables
from analysis.verdict import gates
from experiments.studies.h7_credit_assignment import runs as study
from tests.calibration import exact_level
from tests.calibration.planting import frame_of, tables

JUDGED = [
    study.credited("full", seed, decisions, arm)
    for seed in study.seeds.first("full", study.SEEDS["full"]["credit"])
    for decisions in study.DECISIONS
    for arm in study.CREDIT_ARMS
]
RUNS = frame_of([*JUDGED, *study.gate("full")])
STEPS = np.arange(0, study.THRESHOLD_STEPS + 1, 2)
HEIGHT, EXPONENT, FIRST = 0.8, 0.8, 6.0
"""J that is timed, exponent of the segment-level arm, and RL steps it takes at the fewest decisions."""
SEED_SD, RUN_SD = 0.15, 0.2
"""Of log time: shared by both arms, and a run's own, with a tail to late times."""
LOST = 0.02
"""Share of the runs that lose J again before their end, and are censored."""
GATE_EFFECT = 0.8
"""Exponent at lambda 0 beyond that at lambda 1: an open gate."""


def simulate_h7b(
    theta: float,
    rng: np.random.Generator,
    exponent: float = EXPONENT,
    run_sd: float = RUN_SD,
    gate: float = GATE_EFFECT,
) -> Tables:
    """J rises to 1 with a time constant c decisions^b; runs slower than the last step, or lost again, are censored."""
    decisions = RUNS["dials.nearest"].to_numpy(float)
    own = RUNS["seed"].isin(gates.SEEDS).to_numpy()
    token, blind = (
        (RUNS["variants"] == "values=state_error").to_numpy(),
        (RUNS["settings.fixed_lambda"] == 0).to_numpy(),
    )
    steeper = np.where(own, gate * blind, theta * token)
    _, cell = np.unique(RUNS["seed"].to_numpy() * 100 + decisions, return_inverse=True)
    together = SEED_SD * rng.normal(size=cell.max() + 1)[cell]
    late = run_sd * (rng.gamma(4.0, size=len(RUNS)) - 4.0) / 2.0
    time = FIRST * (decisions / study.DECISIONS[0]) ** (exponent + steeper) * np.exp(together + late)
    curve = np.clip(HEIGHT * (STEPS[:, None] / time) ** 0.7, 0.0, 0.999)
    last = np.where(rng.random(len(RUNS)) < LOST, 0.05, curve[-1])
    metrics = {"val/exact_j": dict(zip(STEPS, curve, strict=True))}
    return tables(RUNS, {"last": last, "mean_length": 1.4 * decisions}, metrics)


def without_the_tail(given: Tables) -> pd.DataFrame:
    """Rows of runs in which none has lost J again."""
    return given.runs.assign(last=np.maximum(given.runs["last"], HEIGHT))


SIMULATIONS = {"h7a": exact_level.h7a, "h7b": simulate_h7b}
