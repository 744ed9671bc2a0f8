"""Limitation 4 with a known answer: runs that escape by chance about a depth, and entropy that falls as J rises."""

import numpy as np
from scipy.special import expit

from analysis.tables.schema import Tables
from experiments.studies.h4_exploration import runs as study
from tests.calibration.planting import frame_of, tables

DEPTHS = dict(
    zip(
        study.DEPTHS,
        (3.45, 4.62, 5.27, 5.61, 5.96, 6.33, 6.70, 7.09, 7.48, 7.89, 8.30, 9.15, 10.92, 12.78),
        strict=True,
    )
)
"""Dial trap_prior -> exact depth, nats, of the base policy (seed 900)."""
EDGE, STEEPNESS, SEED_SD = 6.7, 1.5, 0.3
"""Depth of even odds in nats, log-odds lost per nat, and what a seed shifts both arms by."""

TRAP = frame_of(
    [s for s in study.trap("full") if sum(getattr(s.toggles, name) for name in study.TRIO) in (0, 3)]
)  # fmt: skip
FORK = frame_of([s for s in study.fork("full") if s.settings.epochs == 2])
STEPS = np.arange(0, study.FORK_STEPS + 1, study.OFTEN)


def simulate_h4a(theta: float, rng: np.random.Generator, steepness: float = STEEPNESS) -> Tables:
    """Outcomes of 0 and 1: all three on moves the depth of even odds by theta nats."""
    depth = TRAP["dials.trap_prior"].map(DEPTHS).to_numpy(float)
    on = TRAP["clip_higher"].to_numpy(bool)
    seed = TRAP["seed"].to_numpy() - TRAP["seed"].min()
    edge = EDGE + theta * on + SEED_SD * rng.normal(size=seed.max() + 1)[seed]
    escaped = rng.random(len(TRAP)) < expit(steepness * (edge - depth))
    last = np.where(escaped, 0.99, 0.2) + 0.005 * rng.normal(size=len(TRAP))
    solved = expit(-depth)
    return tables(TRAP, {"last": last}, {study_metric("depth"): {0: depth}, study_metric("solved"): {0: solved}})


def simulate_h4b(theta: float, rng: np.random.Generator, noise: float = 0.03) -> Tables:
    """Entropy in [0, 1] falls with J along a path of the seed's; the loss adds theta and, as it drifts, noise."""
    loss = FORK["positive_lm_loss"].to_numpy(bool)
    seed = FORK["seed"].to_numpy() - FORK["seed"].min()
    level = 0.05 * rng.normal(size=seed.max() + 1)[seed]
    speed = np.exp(0.15 * rng.normal(size=len(FORK))) * np.where(loss, 1.1, 1.0)
    solved = expit(np.log(0.27 / 0.73) + 0.33 * np.outer(speed, STEPS))
    wobble = noise * rng.normal(size=len(FORK)) + 0.01 * rng.normal(size=solved.T.shape)
    entropy = np.clip((0.75 - 0.35 * solved**2).T + level + theta * loss + wobble, 0.0, 1.0)
    metrics = {
        study_metric("solved"): dict(zip(STEPS, solved.T, strict=True)),
        study_metric("mode_entropy"): dict(zip(STEPS, entropy, strict=True)),
        "activity/positive_lm_grad_ratio": {int(STEPS[-1]): np.where(loss, 0.1, np.nan)},
    }
    return tables(FORK, metrics=metrics)


def study_metric(name: str) -> str:
    """What the exploration probe calls its exact numbers."""
    return f"exploration/exact_{name}"


SIMULATIONS = {"h4a": simulate_h4a, "h4b": simulate_h4b}
