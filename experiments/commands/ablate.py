"""`vapo ablate`: the main job."""

from collections.abc import Sequence
from typing import Any

from experiments.ablations.ablate import PRESETS, AblateConfig, ablate
from experiments.specs.asked import asked_for, parsed
from experiments.specs.designs import DESIGNS
from experiments.specs.options import config_file


def run(words: Sequence[str]) -> int:
    """Parse, check, run."""
    words, over = config_file(words)
    over.pop("order", None)  # a config.json given back: the order follows from order_seed
    config, dials = configure(words, over)
    return ablate(config, dials)


def configure(words: Sequence[str], over: dict[str, Any]) -> tuple[AblateConfig, dict[str, Any]]:
    """The configuration, with the defaults of its world, task and preset, and the task's dials.

    What is to be varied is varied one at a time, unless a design is named.
    """
    asked = asked_for(words, over, "walk")
    name = asked.choice("preset", "quick", PRESETS[asked.world])
    preset = PRESETS[asked.world][name]
    varied = bool(over.get("vary")) or any(word.partition("=")[0] == "--vary" for word in words)
    design = asked.choice("design", "one-at-a-time" if varied else "leave-one-out", DESIGNS)
    config = parsed(
        AblateConfig, asked, "ablate", design=design, preset=name,
        seeds=preset.seeds, first_seed=preset.first_seed, steps=preset.steps, probes=preset.probes,
        baselines=preset.baselines if design in ("leave-one-out", "add-one-in") else (),
    )  # fmt: skip
    return config, config.dials.model_dump(exclude_defaults=True)
