"""Small worlds and trainers that tests share."""

from pathlib import Path
from typing import Any

from experiments.runs.run import build_trainer
from experiments.specs.spec import RunSpec, TaskSpec, spec_for
from vapo_core.settings import DEFAULT_SETTINGS, Evaluation, Settings

SMALL_EVALUATION = Evaluation(every=2, problems=32, k=2, k_problems=8)


def small_settings(world: str, **numbers: Any) -> Settings:
    """The world's defaults, cut down to a fraction of a second per step."""
    small = {"responses_per_step": 32, "group_size": 4, "pool_size": 16, "warmup_steps": 2, "mini_batches": 2}
    return Settings(**{**DEFAULT_SETTINGS[world].model_dump(), **small, **numbers})


def small_spec(world: str = "walk", recipe: str = "vapo", seed: int = 0, steps: int = 3, **fields: Any) -> RunSpec:
    """A run of a second or less."""
    numbers = fields.pop("numbers", {})
    dials = {"walk": {"size": 8, "horizon": 12}, "lm": {}}[world]
    task = TaskSpec(name={"walk": "walk", "lm": "text_walk"}[world], dials=fields.pop("dials", dials))
    settings = small_settings(world, **numbers)
    return spec_for(recipe, world, seed, task, settings, steps=steps, **{"evaluation": SMALL_EVALUATION, **fields})


def trainer_of(spec: RunSpec, cache: Path) -> Any:
    """The trainer of a spec."""
    return build_trainer(spec, cache)


def run(trainer: Any) -> list[tuple[int, dict[str, float]]]:
    """All points of a run."""
    points: list[tuple[int, dict[str, float]]] = []
    trainer.run(lambda step, metrics: points.append((step, dict(metrics))))
    return points


def untimed(points: list[tuple[int, dict[str, float]]]) -> list[tuple[int, dict[str, float]]]:
    """Points without seconds, which differ from run to run."""
    return [(step, {k: v for k, v in m.items() if not k.startswith("timing/")}) for step, m in points]


def view_of(world: str, cache: Path, recipe: str = "vapo", **fields: Any) -> Any:
    """What a probe sees after value pretraining, before the first RL step."""
    trainer = trainer_of(small_spec(world, recipe, **fields), cache)
    trainer.steps = 0
    run(trainer)
    return trainer._view(0)
