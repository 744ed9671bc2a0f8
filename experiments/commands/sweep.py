"""`vapo sweep`: search alpha, a constant lambda, or any numeric settings."""

from collections.abc import Sequence
from typing import Any

from experiments.launchers.launching import cores
from experiments.specs.asked import asked_for, parsed
from experiments.specs.options import config_file, known
from experiments.sweeps.sweep import PRESETS, SweepConfig, sweep
from vapo_core.settings import RECIPES


def run(words: Sequence[str]) -> int:
    """Parse, check, search."""
    words, over = config_file(words)
    config, dials = configure(words, over)
    return sweep(config, dials)


def configure(words: Sequence[str], over: dict[str, Any]) -> tuple[SweepConfig, dict[str, Any]]:
    """The configuration, with the defaults of its world, task and preset, and the task's dials."""
    asked = asked_for(words, over, "walk")
    name = asked.choice("preset", "quick", PRESETS[asked.world])
    preset = PRESETS[asked.world][name]
    config = parsed(
        SweepConfig, asked, "sweep", preset=name, trials=preset.trials, seeds=preset.seeds,
        first_seed=preset.first_seed, steps=preset.steps, workers=cores(),
    )  # fmt: skip
    known("recipe", config.recipe, RECIPES)
    return config, config.dials.model_dump(exclude_defaults=True)
