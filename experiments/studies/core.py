"""The runs that most questions read: one table of the walk, one of the tiny language model.

Seeds are paired: seed i of every cell shares problems, base policy, initial critic head and sampling seeds. Runs are named
by their content, so a run that two studies list is made once; a study that varies one thing takes its cells from `run`.

    quick: walk, 11 arms x 10 seeds; text, 11 arms x 2 tasks x 3 seeds
    full:  nothing whole; studies take single cells, text a base per seed

Preset real, of a pretrained checkpoint on a GPU, has its few runs in `real.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from experiments.specs.designs import Cell, leave_one_out, with_baselines
from experiments.specs.spec import DEFAULT_STEPS, RunSpec, TaskSpec, log_every, paired_base
from vapo_core.settings import (
    CHECKPOINT,
    CHECKPOINT_EVALUATION,
    DEFAULT_EVALUATION,
    DEFAULT_SETTINGS,
    RECIPES,
    Base,
    Evaluation,
    Settings,
    Toggles,
)

World = Literal["walk", "lm"]

PRESETS: tuple[str, ...] = ("smoke", "quick", "full")
"""Seconds; minutes; hours, on seeds that nothing else ever uses."""

SEEDS: dict[str, dict[str, tuple[int, ...]]] = {
    "walk": {"smoke": (0, 1), "quick": tuple(range(10)), "full": tuple(range(1000, 1032))},
    "lm": {"smoke": (0, 3), "quick": (0, 1, 2), "full": tuple(range(1000, 1032)), "real": tuple(range(5))},
}
"""Seeds of a world and preset. On text smoke has one base, quick three, and in full every seed has its own (`paired_base`)."""

TASKS: dict[str, tuple[str, ...]] = {"walk": ("walk",), "lm": ("text_walk", "chain")}
"""Tasks of the core tables. A critic learns on both of the text ones, and their lengths vary (results/tasks)."""

BASELINES: tuple[str, ...] = ("ppo", "grpo", "dapo")
"""Recipes beside VAPO and its seven removals: eleven arms in all."""

STEPS: dict[str, dict[str, int]] = {
    "walk": {"smoke": 2, "quick": DEFAULT_STEPS["walk"], "full": DEFAULT_STEPS["walk"]},
    "lm": {"smoke": 2, "quick": DEFAULT_STEPS["lm"], "full": DEFAULT_STEPS["lm"], "real": 100},
}
"""RL steps of a run."""

SMALL: dict[str, float] = {
    "responses_per_step": 64, "pool_size": 16, "warmup_steps": 2, "mini_batches": 2, "epochs": 1,
}  # fmt: skip
"""Settings of preset smoke in place of the world's."""

EVALUATION: dict[str, Evaluation] = {
    "smoke": Evaluation(every=2, problems=64, k_problems=8),
    "real": CHECKPOINT_EVALUATION,
}
"""Preset -> evaluation in place of the world's."""

MODEL = Base(model="Qwen/Qwen2.5-0.5B", dtype="bfloat16")
"""Base model of preset real, unless the command names another."""

EVERY: dict[str, int] = {"smoke": 2, "quick": 30, "full": 15}
"""RL steps between measurements: the start and the end, in full the middle, too."""

CHEAP = ("value_error", "gradient_variance", "exploration", "policy_shift", "generalization")
"""Measured on each of the eleven arms: two seconds a time on text."""

FURTHER = ("ranking", "forgetting", "lambda_profile", "credit", "curvature", "improvement")
"""Measured on full VAPO besides; below preset full."""

REDUCTIONS = ("gradient_quality", "kl_per_gain")
"""Measured on full VAPO on text: ten seconds a time; below preset full."""

READ = ("value_error", "gradient_variance", "exploration", "credit", "improvement")
"""What preset full measures, on full VAPO alone: the probes that judges and tables read. Everything else would cost hours, and
each study that needs more names it itself."""


def walk(preset: str) -> tuple[RunSpec, ...]:
    """The walk's table: eleven arms."""
    return of_cells("walk", preset, with_baselines(leave_one_out(), BASELINES))


def lm(preset: str) -> tuple[RunSpec, ...]:
    """The tiny language model's table: eleven arms on two tasks; in smoke full VAPO and PPO on one."""
    cells, tasks = with_baselines(leave_one_out(), BASELINES), TASKS["lm"]
    if preset == "smoke":
        cells, tasks = [cell for cell in cells if cell.label in ("vapo", "ppo")], tasks[:1]
    return tuple(spec for task in tasks for spec in of_cells("lm", preset, cells, task))


def of_cells(world: World, preset: str, cells: Iterable[Cell], task: str | None = None) -> tuple[RunSpec, ...]:
    """Cells of a design with every seed, one seed after the other."""
    listed = list(cells)
    return tuple(
        run(world, preset, seed, cell.recipe, cell.toggles, dict(cell.settings), task, dict(cell.dials))
        for seed in SEEDS[world][preset]
        for cell in listed
    )


def run(
    world: World,
    preset: str,
    seed: int,
    recipe: str = "vapo",
    toggles: Toggles | None = None,
    settings: Mapping[str, Any] | None = None,
    task: str | None = None,
    dials: Mapping[str, Any] | None = None,
    variants: Mapping[str, str] | None = None,
    probes: Mapping[str, int] | None = None,
    steps: int | None = None,
    evaluation: Evaluation | None = None,
) -> RunSpec:
    """One run as the core tables make it.

    Args:
        world: walk or lm.
        preset: smoke, quick, full, or (of world lm) real.
        seed: as in `SEEDS`.
        recipe: its own toggles and variants apply where none are given.
        toggles: which components are on.
        settings: in place of the world's.
        task: the world's first one if not given.
        dials: of the task, in place of its own.
        variants: beside the recipe's own.
        probes: name -> RL steps between measurements; those of the core tables if not given.
        steps: RL steps; the preset's if not given.
        evaluation: the world's if not given.
    """
    bundle = RECIPES[recipe]
    chosen = bundle.toggles if toggles is None else toggles
    length = STEPS[world][preset] if steps is None else steps
    measured = probes_of(world, preset, recipe, chosen) if probes is None else probes
    return RunSpec(
        world=world,
        task=TaskSpec(name=task or TASKS[world][0], dials=dict(dials or {})),
        recipe=recipe,
        toggles=chosen,
        settings=numbers(world, preset, settings or {}),
        variants={**bundle.variants, **(variants or {})},
        base=paired_base(MODEL if preset == "real" else Base(), world, seed),
        evaluation=evaluation or EVALUATION.get(preset, DEFAULT_EVALUATION[world]),
        seed=seed,
        steps=length,
        probes=dict(measured),
        log_every=log_every(world, length),
    )


def numbers(world: World, preset: str, changes: Mapping[str, Any]) -> Settings:
    """The world's settings, small ones in smoke, a checkpoint's in real, with these changes."""
    usual = CHECKPOINT if preset == "real" else DEFAULT_SETTINGS[world]
    return Settings(**{**usual.model_dump(), **(SMALL if preset == "smoke" else {}), **changes})


def without(*components: str) -> Toggles:
    """Full VAPO less these components."""
    return RECIPES["vapo"].toggles.model_copy(update=dict.fromkeys(components, False))


NAMED = {(cell.recipe, cell.toggles) for cell in with_baselines(leave_one_out(), BASELINES)}
"""The eleven arms."""


def probes_of(world: World, preset: str, recipe: str, toggles: Toggles) -> dict[str, int]:
    """What the core tables measure on an arm, and how often."""
    full_vapo = (recipe, toggles) == ("vapo", RECIPES["vapo"].toggles)
    if (recipe, toggles) not in NAMED or (preset == "full" and not full_vapo):
        return {}
    wanted: tuple[str, ...] = READ if preset == "full" else (*CHEAP, *FURTHER) if full_vapo else CHEAP
    wanted += REDUCTIONS if world == "lm" and full_vapo and preset == "quick" else ()
    return dict.fromkeys(wanted, EVERY[preset])
