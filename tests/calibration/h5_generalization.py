"""Simulated tables of limitation 5: a planted excess out of distribution, and arms that differ by a planted accuracy there.

Spreads are those of development runs, rounded up; base models as in `h1_value_fidelity`.
"""

import numpy as np

from analysis.hypotheses.h5_generalization.judge import HEIGHTS
from analysis.tables.schema import Tables
from experiments.studies.h5_generalization.runs import ARM_STEPS, ARMS, UNSEEN_PAIRS, arms, transfer
from tests.calibration.h1_value_fidelity import of_bases, skewed
from tests.calibration.planting import by_run, frame_of, tables

TRANSFER = frame_of([spec for spec in transfer("full") if spec.world == "lm" and spec.task.dials == UNSEEN_PAIRS])
PATHS = frame_of([spec for spec in arms("full") if spec.world == "lm"])

EXCESS_SD, PLACES_SD = 0.08, 0.10
"""Of an excess: between runs, and of one measurement on some hundreds of places."""
PROBLEMS = 1024
"""Of each split, one answer each."""
STEPS = np.arange(ARM_STEPS["full"] + 1)
START_SD, RUN_SD = 0.03, 0.02
"""Of accuracies before RL, and of a run's accuracy out of distribution around the common curve."""


def h5a(theta: float, rng: np.random.Generator) -> Tables:
    """Matched excess at both ends of a run, more after RL."""
    size = len(TRANSFER)
    level = theta + of_bases(rng, EXCESS_SD, TRANSFER)
    excess = {step: level + side + skewed(rng, PLACES_SD, size) for step, side in ((0, -0.03), (30, 0.03))}
    share = {step: rng.uniform(0.4, 0.95, size) for step in (0, 30)}
    return tables(
        TRANSFER,
        {},
        {
            "value_transfer/excess_ood_composition": excess,
            "value_transfer/effective_ood_composition": share,
            "value_transfer/fvu_inside_ood_composition": {step: rng.uniform(0.4, 0.8, size) for step in (0, 30)},
        },
    )


def h5b(theta: float, rng: np.random.Generator) -> Tables:
    """Accuracies of three arms that learn at different speeds along one curve, vapo `theta` above it out of distribution.

    All of them solve ever more of the training problems than of held-out ones. The difference is planted where held-out
    accuracy is read, above the lowest height less a little, since arms of one seed begin as one model.
    """
    runs, seeds, size = PATHS, PATHS["seed"].to_numpy(), len(PATHS)
    arm = np.array([ARMS.index(recipe) for recipe in runs["recipe"]])
    start = 0.36 + by_run(rng.normal(0, START_SD, len(np.unique(seeds))), seeds)
    gain = np.array([0.42, 0.40, 0.42])[arm] + 0.03 * rng.normal(size=size)
    speed = np.array([7.0, 9.0, 8.0])[arm] * np.exp(0.15 * rng.normal(size=size))
    own = of_bases(rng, RUN_SD, PATHS)
    found: dict[str, dict[int, np.ndarray]] = {}

    def seen(name: str, step: int, chance: np.ndarray) -> None:
        share = rng.binomial(PROBLEMS, np.clip(chance, 0.0, 1.0)) / PROBLEMS
        found.setdefault(f"generalization/accuracy_{name}", {})[step] = share

    for step in STEPS:
        inside = start + gain * (1 - np.exp(-step / speed))
        apart = theta * np.clip((inside - start) / (HEIGHTS["lm"][0] - 0.05 - start), 0.0, 1.0)
        outside = 0.2 + 0.5 * (inside - start) + own + apart * (arm == 0)
        seen("held_out", int(step), inside)
        seen("train", int(step), inside + 0.04 + 0.25 * (inside - start))
        seen("ood_operator", int(step), outside + 0.05)
        seen("ood_composition", int(step), outside - 0.05)
    return tables(runs, {}, found)


SIMULATIONS = {"h5a": h5a, "h5b": h5b}
