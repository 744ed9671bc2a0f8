"""`vapo sweep`: search alpha, a constant lambda, or any numeric settings."""

import os
from collections.abc import Sequence
from typing import Any

from experiments.specs.engines import DEFAULT_BASE
from experiments.specs.options import config_file, known, overlay, parse, peek, with_task_dials
from experiments.specs.spec import DEFAULT_TASK
from experiments.sweeps.sweep import PRESETS, SweepConfig, sweep
from vapo_core.settings import DEFAULT_EVALUATION, DEFAULT_SETTINGS, RECIPES
from vapo_core.tasks import TASKS


def run(words: Sequence[str]) -> int:
    """Parse, check, search."""
    words, over = config_file(words)
    config, dials = configure(words, over)
    return sweep(config, dials)


def configure(words: Sequence[str], over: dict[str, Any]) -> tuple[SweepConfig, dict[str, Any]]:
    """The configuration, with the defaults of its world, task and preset, and the task's dials."""
    world = known("world", peek(words, "world", str(over.get("world", "walk"))), DEFAULT_SETTINGS)
    preset_name = known("preset", peek(words, "preset", str(over.get("preset", "quick"))), PRESETS[world])
    task = known("task", peek(words, "task", str(over.get("task", DEFAULT_TASK[world]))), TASKS)
    engine = known("engine", peek(words, "engine", str(over.get("engine", "transformers"))), DEFAULT_BASE)
    preset, dials = PRESETS[world][preset_name], TASKS[task].dials
    with_dials = with_task_dials(SweepConfig, dials)
    default = with_dials(
        world=world,
        preset=preset_name,
        task=task,
        engine=engine,
        base=DEFAULT_BASE[engine],
        trials=preset.trials,
        seeds=preset.seeds,
        first_seed=preset.first_seed,
        steps=preset.steps,
        workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        settings=DEFAULT_SETTINGS[world],
        evaluation=DEFAULT_EVALUATION[world],
    )
    config = parse(with_dials, overlay(default, over), words, "sweep")
    known("recipe", config.recipe, RECIPES)
    return config, config.dials.model_dump(exclude_defaults=True)
