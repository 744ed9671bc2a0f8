"""`vapo ablate`: the main job."""

from collections.abc import Sequence
from typing import Any

from experiments.ablations.ablate import PRESETS, AblateConfig, ablate
from experiments.specs.designs import DESIGNS
from experiments.specs.engines import DEFAULT_BASE, model_asked_for, spelled_out
from experiments.specs.options import config_file, known, overlay, parse, peek, with_task_dials
from experiments.specs.spec import DEFAULT_TASK
from vapo_core.settings import DEFAULT_SETTINGS, evaluation_of, settings_of
from vapo_core.tasks import TASKS


def run(words: Sequence[str]) -> int:
    """Parse, check, run."""
    words, over = config_file(words)
    over.pop("order", None)  # a config.json given back: the order follows from order_seed
    words = spelled_out(words)
    config, dials = configure(words, over)
    return ablate(config, dials)


def configure(words: Sequence[str], over: dict[str, Any]) -> tuple[AblateConfig, dict[str, Any]]:
    """The configuration, with the defaults of its world, task and preset, and the task's dials."""
    world = known("world", peek(words, "world", str(over.get("world", "walk"))), DEFAULT_SETTINGS)
    preset_name = known("preset", peek(words, "preset", str(over.get("preset", "quick"))), PRESETS[world])
    task = known("task", peek(words, "task", str(over.get("task", DEFAULT_TASK[world]))), TASKS)
    design = known("design", peek(words, "design", str(over.get("design", "leave-one-out"))), DESIGNS)
    engine = known("engine", peek(words, "engine", str(over.get("engine", "transformers"))), DEFAULT_BASE)
    preset, dials = PRESETS[world][preset_name], TASKS[task].dials
    model = model_asked_for(words, over, engine)
    with_dials = with_task_dials(AblateConfig, dials)
    default = with_dials(
        world=world,
        preset=preset_name,
        design=design,
        task=task,
        engine=engine,
        base=DEFAULT_BASE[engine],
        seeds=preset.seeds,
        first_seed=preset.first_seed,
        steps=preset.steps,
        probes={} if "probes" in over else preset.probes,  # given ones stand alone
        baselines=preset.baselines if design in ("leave-one-out", "add-one-in") else (),
        settings=settings_of(world, model),
        evaluation=evaluation_of(world, model),
    )
    config = parse(with_dials, overlay(default, over), words, "ablate")
    return config, config.dials.model_dump(exclude_defaults=True)
