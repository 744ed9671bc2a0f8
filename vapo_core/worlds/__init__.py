"""Two worlds behind one interface: `walk` (exact) and `lm` (text). `build_world` makes either."""

import re
from pathlib import Path
from typing import Any

from vapo_core.seeds import Seeds, child
from vapo_core.settings import Base, Settings
from vapo_core.tasks.known_by import task_identity

WALK_WIDTHS = {"tiny": 32, "small": 128}


def build_world(
    world: str,
    task: Any,
    task_name: str,
    base: Base,
    settings: Settings,
    seeds: Seeds,
    cache: Path,
    engine: str = "transformers",
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
        engine: what samples text, `transformers` or `vllm`; the walk has its own.

    Raises:
        ValueError: for an unknown walk size or an unavailable engine.
        OSError: if a checkpoint cannot be read.
    """
    return _BUILDERS[world](task, task_name, base, settings, seeds, cache, engine)


def _walk(task: Any, task_name: str, base: Base, settings: Settings, seeds: Seeds, cache: Path, engine: str) -> Any:
    from vapo_core.worlds.walk import WalkWorld

    if base.model not in WALK_WIDTHS:
        raise ValueError(f"base.model: {base.model!r} is no walk size, allowed: {', '.join(WALK_WIDTHS)}")
    width = WALK_WIDTHS[base.model]
    return WalkWorld(task, width, settings.temperature, settings.critic_bias, child(base.init, 0), seeds.init)


def _language(task: Any, task_name: str, base: Base, settings: Settings, seeds: Seeds, cache: Path, engine: str) -> Any:
    from transformers.utils import logging

    from vapo_core.models import base_model
    from vapo_core.models.checkpoints import identity_of
    from vapo_core.worlds.language import LanguageWorld

    logging.disable_progress_bar()  # loading a model of 80,000 weights needs none
    checkpoint = base.model
    if base.model in base_model.SIZES:
        checkpoint = str(base_model.ensure_base(base_model.base_identity(task_name, task, base), task, cache))
    critic = critic_checkpoint(base.critic, cache)
    read = {"model", "architecture", "init", "revision", "critic"}
    identity = {
        "task": task_identity(task_name, task), "base": dict(identity_of("base.model", checkpoint, base.revision)),
        "how": base.model_dump(mode="json", exclude_defaults=True, exclude=read),
        "critic": None if critic is None else dict(identity_of("base.critic", critic, "main")),
    }  # fmt: skip
    return LanguageWorld(task, checkpoint, critic, identity, base, settings, seeds.init, engine)


def critic_checkpoint(name: str, cache: Path) -> str | None:
    """Where the critic's weights start: None for the policy's backbone, else a folder or a name on the hub.

    Args:
        name: `policy`, a checkpoint, or a run with a critic: its hash in `cache`, or its folder.
        cache: folder of runs.

    Raises:
        ValueError: for a run that kept no critic.
    """
    if name == "policy":
        return None
    for folder in (Path(name), cache / name):
        kept = folder / "checkpoint" / "critic"
        if (kept / "config.json").exists():
            return str(kept)
        if (folder / "spec.json").exists():
            raise ValueError(f"base.critic: run {folder} has no checkpoint of a critic")
    if re.fullmatch("[0-9a-f]{16}", name):
        raise ValueError(f"base.critic: no run {name} in {cache}")
    return name


_BUILDERS = {"walk": _walk, "lm": _language}
