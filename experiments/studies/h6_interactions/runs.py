"""Limitation 6, the seven together: what is left of PPO's guarantees, and which components interact?

Cost beside the core tables, from runs measured on one core: quick 9 core-minutes, full 3.8 core-hours, and the exact level's.
"""

from experiments.specs.designs import fractional_factorial, full_factorial
from experiments.specs.exact import ExactSpec
from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.h6_interactions.exact_runs import exact_runs
from experiments.studies.h6_interactions.real_runs import real_runs
from vapo_core.settings import Toggles

BIASED = {"critic_bias": 1.0}
"""Settings of h6b's critics."""

EVERY: dict[str, int] = {"smoke": 2, "quick": 3, "full": 2}
"""RL steps between large updates."""

MORE: dict[str, tuple[int, ...]] = {"smoke": (), "quick": (), "full": tuple(range(1032, 1096))}
"""Seeds of the updates beside those of the core tables: falls are rare, and some runs may be more prone to them."""

RUNS: dict[str, int] = {"smoke": 32, "quick": 64, "full": 128}
"""Combinations of a replicate on the walk. 64 alias no two-way interaction with another, 32 none with the one asked for."""

REPLICATES: dict[str, dict[str, int]] = {
    "walk": {"smoke": 2, "quick": 2, "full": 32},
    "lm": {"smoke": 1, "quick": 3, "full": 5},
}
"""Seeds of the factorials, the first of the core tables'."""

PAIR = ("value_pretraining", "decoupled_gae")


def updates(preset: str) -> tuple[RunSpec, ...]:
    """h6a: full VAPO on the walk; on text that of the core table."""
    probes = dict.fromkeys(("large_update", "improvement"), EVERY[preset])
    return tuple(core.run("walk", preset, seed, probes=probes) for seed in (*core.SEEDS["walk"][preset], *MORE[preset]))


def text_updates(preset: str) -> tuple[RunSpec, ...]:
    """h6a: full VAPO of the core table."""
    return tuple(
        core.run("lm", preset, seed, task=task)
        for task in core.TASKS["lm"][: 1 if preset == "smoke" else None]
        for seed in core.SEEDS["lm"][preset]
    )


def combinations(runs: int) -> list[Toggles]:
    """The cells of a factorial or of a fraction of it."""
    cells = full_factorial() if runs == 128 else fractional_factorial(runs)
    return [cell.toggles for cell in cells]


def corners() -> list[Toggles]:
    """Both components of the pair on and off, the other five on."""
    return [core.without(*off) for off in ((), PAIR[:1], PAIR[1:], PAIR)]


def factorial(preset: str) -> tuple[RunSpec, ...]:
    """h6b: combinations of components from a biased critic; on text a 64-run fraction, below full only the pair's corners."""
    cells: dict[core.World, list[Toggles]] = {
        "walk": combinations(RUNS[preset]),
        "lm": combinations(64) if preset == "full" else corners(),
    }
    return tuple(
        core.run(world, preset, seed, toggles=toggles, settings=BIASED, probes={})
        for world, chosen in cells.items()
        for seed in core.SEEDS[world][preset][: REPLICATES[world][preset]]
        for toggles in chosen
    )


def specs(preset: str) -> tuple[RunSpec | ExactSpec, ...]:
    """Every run of the study; the factorial from a fresh critic, which h6b is shown beside, is the components' core table."""
    if preset == "real":
        return tuple(real_runs())
    fresh = core.walk(preset) if preset == "full" else ()
    return (*updates(preset), *text_updates(preset), *factorial(preset), *fresh, *exact_runs(preset))
