"""Limitation 3, the token-level loss: what does it do to the landscape, to gradient noise, and to the price in KL?

Cost beside the core tables, from runs measured on one core: quick 7 core-minutes, full 1.9 core-hours, and the exact level's.
"""

from experiments.specs.exact import ExactSpec
from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.h3_token_level_loss.exact_runs import exact_runs
from experiments.studies.h3_token_level_loss.real_runs import real_runs

CELLS: dict[str, dict[str, float]] = {"stops early": {}, "wanders": {"trap_prior": -2.0}}
"""Cells of h3a: dials of the walk. The base policy knows correct moves by one nat; against two nats it does not stop."""

EVERY: dict[str, int] = {"smoke": 2, "quick": 10, "full": 5}
"""RL steps between measurements on the walk."""

MORE: dict[str, dict[str, tuple[int, ...]]] = {
    "walk": {"smoke": (), "quick": (), "full": tuple(range(1032, 1096))},
    "lm": {"smoke": (), "quick": tuple(range(3, 8)), "full": tuple(range(1032, 1096))},
}
"""Seeds beside those of the core tables: a single run says little of a ratio of gradients, and with three of them on text
the ratio often has no interval."""

MEASURED: dict[str, tuple[str, ...]] = {
    "stops early": ("curvature", "gradient_quality", "kl_per_gain"),
    "wanders": ("curvature",),
}


def walk(preset: str) -> tuple[RunSpec, ...]:
    """Full VAPO in both cells; on the walk as it is all that is asked of the two reductions."""
    return tuple(
        core.run("walk", preset, seed, dials=dials, probes=dict.fromkeys(MEASURED[cell], EVERY[preset]))
        for seed in (*core.SEEDS["walk"][preset], *MORE["walk"][preset])
        for cell, dials in CELLS.items()
    )


def text(preset: str) -> tuple[RunSpec, ...]:
    """Full VAPO of the core table, and of further seeds with the probe of h3b alone."""
    tasks = core.TASKS["lm"][: 1 if preset == "smoke" else None]
    shared = [core.run("lm", preset, seed, task=task) for seed in core.SEEDS["lm"][preset] for task in tasks]
    own = {"gradient_quality": core.EVERY[preset]}
    further = [core.run("lm", preset, seed, task=task, probes=own) for seed in MORE["lm"][preset] for task in tasks]
    return (*shared, *further)


def specs(preset: str) -> tuple[RunSpec | ExactSpec, ...]:
    """Every run of the study."""
    if preset == "real":
        return tuple(real_runs())
    return (*walk(preset), *text(preset), *exact_runs(preset))
