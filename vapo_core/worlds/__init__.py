"""Two worlds behind one interface: `walk` (exact) and `lm` (text). `build_world` makes either."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vapo_core.seeds import Seeds, child
from vapo_core.settings import Base, Settings

WALK_WIDTHS = {"tiny": 32, "small": 128}


def build_world(
    world: str, task: Any, task_name: str, base: Base, settings: Settings, seeds: Seeds, cache: Path
) -> Any:
    """Policy, critic, engine and task of one run.

    Args:
        world: `walk` or `lm`.
        task: an object with the interface of `tasks.base.Task`.
        task_name: name under which the task's base model is cached.
        base: which base policy.
        settings: temperature and critic bias are read here.
        seeds: `init` draws the critic's head, the same in every arm.
        cache: folder for pretrained base models.

    Raises:
        ValueError: for a walk size that is not offered.
        OSError: if a checkpoint cannot be read.
    """
    return _BUILDERS[world](task, task_name, base, settings, seeds, cache)


def _walk(task: Any, task_name: str, base: Base, settings: Settings, seeds: Seeds, cache: Path) -> Any:
    from vapo_core.worlds.walk import WalkWorld

    if base.model not in WALK_WIDTHS:
        raise ValueError(f"base.model: {base.model!r} is no walk size, allowed: {', '.join(WALK_WIDTHS)}")
    width = WALK_WIDTHS[base.model]
    return WalkWorld(task, width, settings.temperature, settings.critic_bias, child(base.init, 0), seeds.init)


def _language(task: Any, task_name: str, base: Base, settings: Settings, seeds: Seeds, cache: Path) -> Any:
    from transformers.utils import logging

    from vapo_core import base_model
    from vapo_core.worlds.language import LanguageWorld

    logging.disable_progress_bar()  # loading a model of 80,000 weights needs none
    if base.model in base_model.SIZES:
        identity: Mapping[str, Any] = base_model.base_identity(task_name, task, base)
        checkpoint = base_model.ensure_base(identity, task, cache)
    else:
        checkpoint, identity = Path(base.model), {"checkpoint": base.model, "task": task_name}
    return LanguageWorld(task, checkpoint, identity, settings.temperature, settings.critic_bias, seeds.init)


_BUILDERS = {"walk": _walk, "lm": _language}
