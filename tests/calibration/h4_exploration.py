"""Limitation 4 with a known answer: directions found by chance about a depth, and entropy that falls as J rises."""

import numpy as np
from scipy.special import expit

from analysis.tables.schema import Tables
from analysis.verdict import gates
from experiments.studies.h4_exploration import runs as study
from tests.calibration.planting import frame_of, tables

DEPTHS = dict(zip(sorted((*study.EDGE, *study.BEYOND)), (4.6, 6.0, 6.7, 7.5, 8.3, 9.2, 10.9, 12.8), strict=True))
"""Dial trap_prior -> exact depth, nats, of the base policy (seeds 700 to 703)."""
EDGE, STEEPNESS, SEED_SD, RUN_SD = 8.3, 1.5, 0.5, 0.5
"""Depth of even odds in nats, log-odds lost per nat, and what shifts the edge of a seed in both arms, and of a run in both
directions. The development runs: all of four found both at 6.7 nats, about half of them at 7.5 to 9.2."""
UNDERWAY = 0.15
"""Share of the runs caught in both directions that end between 0.2 and 0.4, on their way."""

TRAP = frame_of(
    [
        s
        for s in study.trap("full")
        if sum(getattr(s.toggles, name) for name in study.TRIO) in (0, 3)
        and (s.settings.entropy_coef, s.settings.temperature, s.settings.group_size) == (0.0, 1.0, 16)
        and not s.variants
    ]
)
FORK = frame_of([*(s for s in study.fork("full") if s.settings.epochs == study.EPOCHS[0]), *study.gate("full")])
"""Judged runs and the gate's."""
STEPS = np.arange(0, study.FORK_STEPS + 1, study.OFTEN)
GATE_EFFECT = 0.2
"""Entropy that the heavy loss leaves beyond none after saturation: an open gate."""


def simulate_h4a(theta: float, rng: np.random.Generator, steepness: float = STEEPNESS) -> Tables:
    """Directions found, 0 to 2, as J of 0.2, 0.6 and 1: all three on moves the depth of even odds by theta nats."""
    depth = TRAP["dials.trap_prior"].map(DEPTHS).to_numpy(float)
    on = TRAP["clip_higher"].to_numpy(bool)
    seed = TRAP["seed"].to_numpy() - TRAP["seed"].min()
    edge = EDGE + theta * on + SEED_SD * rng.normal(size=seed.max() + 1)[seed] + RUN_SD * rng.normal(size=len(TRAP))
    found = (rng.random((2, len(TRAP))) < expit(steepness * (edge - depth))).sum(0)
    last = 0.2 + 0.4 * found + 0.015 * rng.normal(size=len(TRAP)) - 0.01 * (found == 2)
    underway = (found == 0) & (rng.random(len(TRAP)) < UNDERWAY)
    last = np.where(underway, 0.2 + 0.2 * rng.random(len(TRAP)), last)
    solved = expit(-depth)
    return tables(TRAP, {"last": last}, {study_metric("depth"): {0: depth}, study_metric("solved"): {0: solved}})


def simulate_h4b(theta: float, rng: np.random.Generator, noise: float = 0.04, gate: float = GATE_EFFECT) -> Tables:
    """Entropy in [0, 1] falls with J along a path of the seed's, with skewed noise; the loss adds theta, the gate's its own."""
    loss, heavy = FORK["positive_lm_loss"].to_numpy(bool), FORK["seed"].isin(gates.SEEDS).to_numpy()
    _, seed = np.unique(FORK["seed"], return_inverse=True)
    level = 0.05 * rng.normal(size=seed.max() + 1)[seed]
    speed = np.exp(0.15 * rng.normal(size=len(FORK))) * np.where(loss, 0.9, 1.0)
    solved = expit(np.log(0.27 / 0.73) + 0.13 * np.outer(speed, STEPS))
    own = noise * (rng.gamma(4.0, size=len(FORK)) - 4.0) / 2.0
    entropy = 0.9 - 0.4 * solved**2 + (level + np.where(heavy, gate, theta) * loss - own)[:, None]
    entropy = np.clip(entropy + 0.01 * rng.normal(size=solved.shape), 0.0, 1.0)
    metrics = {
        study_metric("solved"): dict(zip(STEPS, solved.T, strict=True)),
        study_metric("mode_entropy"): dict(zip(STEPS, entropy.T, strict=True)),
        "activity/positive_lm_grad_ratio": {int(STEPS[-1]): np.where(loss, 0.1, np.nan)},
    }
    return tables(FORK, metrics=metrics)


def study_metric(name: str) -> str:
    """What the exploration probe calls its exact numbers."""
    return f"exploration/exact_{name}"


SIMULATIONS = {"h4a": simulate_h4a, "h4b": simulate_h4b}
