"""Limitation 6, the seven together: what is left of PPO's guarantees, and which components interact?

Beside the updates of h6a it reads the component study's own cells; their sizes and cost stand there.
"""

from analysis.tables.regimes import GRID, LONGEST, Regime, of_length
from experiments.specs.exact import ExactSpec
from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.components import runs as components
from experiments.studies.h6_interactions.exact_runs import exact_runs
from experiments.studies.h6_interactions.real_runs import real_runs

REGIME: Regime = next(regime for regime in GRID if regime.name == "32 decisions, 128 responses, outcome critic")
"""Of h6a's updates."""

STEPS = 40
"""RL steps of h6a: enough that runs come to the end of the last band, J = 0.95."""

EVERY: dict[str, int] = {"smoke": 2, "quick": 2, "full": 1}
"""RL steps between large updates, and between values of J, so that an update's starting J is known."""

SEEDS: dict[str, int] = {"smoke": 2, "quick": 4, "full": 80}
"""Runs of h6a, the first of the world's seeds: falls are rare, and some runs may be more prone to them."""

REPLICATES: dict[str, int] = {"h6a": SEEDS["full"], "h6b": components.SIZES["triple"].full}
"""Question -> seeds of its primary estimate at preset full."""


def updates(preset: str) -> tuple[RunSpec, ...]:
    """h6a: full VAPO on the walk."""
    every, first = EVERY[preset], core.SEEDS["walk"][preset][0]
    small = {} if preset != "smoke" else core.SMALL | {"group_size": 8}
    return tuple(
        core.run(
            "walk", preset, seed, settings={**REGIME.settings, **small}, dials=REGIME.length.dials,
            probes=dict.fromkeys(("large_update", "improvement"), every), steps=2 if preset == "smoke" else STEPS,
            evaluation=core.DEFAULT_EVALUATION["walk"].model_copy(update={"every": every}),
        )
        for seed in range(first, first + SEEDS[preset])
    )  # fmt: skip


def text_updates(preset: str) -> tuple[RunSpec, ...]:
    """h6a on text: full VAPO of the core table, few seeds."""
    tasks, seeds = core.TASKS["lm"], core.SEEDS["lm"][preset]
    some = (tasks[:1], seeds) if preset == "smoke" else (tasks, seeds[:8])
    return tuple(core.run("lm", preset, seed, task=task) for task in some[0] for seed in some[1])


def combinations(preset: str) -> tuple[RunSpec, ...]:
    """h6b: the component study's cells, factorials and arms."""
    if preset == "smoke":
        return ()
    return tuple(dict.fromkeys([*components.grid(preset), *components.factorials(preset), *components.text(preset)]))


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    corners = components.of_cells("triple", preset, of_length(LONGEST), components.pair_cells())
    return (*updates(preset), *corners)


def specs(preset: str) -> tuple[RunSpec | ExactSpec, ...]:
    """Every run of the study."""
    if preset == "real":
        return tuple(real_runs())
    return (*updates(preset), *text_updates(preset), *combinations(preset), *exact_runs(preset))
