"""`train(...)`: a recipe on one's own task, in one call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from vapo_core.recipe import RECIPES, Recipe, assemble
from vapo_core.seeds import seeds_of
from vapo_core.settings import DEFAULT_EVALUATION, DEFAULT_SETTINGS, Base, Evaluation, Settings
from vapo_core.tasks.base import Task
from vapo_core.trainer import Trainer, Write
from vapo_core.worlds import build_world


class Result(NamedTuple):
    """What a run leaves."""

    points: list[tuple[int, Mapping[str, float]]]
    """(RL steps finished, named metrics), as `vapo_core.training.metrics.METRICS` explains them."""
    world: Any
    """The trained policy and critic, with the engine: `world.engine.generate(problems, answers_each, seed)`."""

    def curve(self, metric: str = "val/pass_at_1") -> list[tuple[int, float]]:
        """One metric over RL steps."""
        return [(step, metrics[metric]) for step, metrics in self.points if metric in metrics]


def train(
    task: Task,
    recipe: str | Recipe = "vapo",
    world: str = "lm",
    base: Base | None = None,
    settings: Settings | None = None,
    evaluation: Evaluation | None = None,
    steps: int = 30,
    seed: int = 0,
    cache: Path | str = "runs",
    write: Write | None = None,
    engine: str = "transformers",
) -> Result:
    """Train a recipe on a task.

    Args:
        task: any object with the interface of `vapo_core.tasks.base.Task`, such as a `FunctionTask`.
        recipe: a name in `RECIPES`, or a `Recipe` put together by hand.
        world: `lm` (text) or `walk`.
        base: the policy to start from: a size pretrained here on the task's demonstrations (the default), or a checkpoint.
        settings: numbers of the recipe; the world's defaults if not given.
        evaluation: when and on how many held-out problems; the world's defaults if not given.
        steps: RL steps.
        seed: draws problems, critic head, samples and evaluation.
        cache: folder for base models and warm critics.
        write: called with every point as it comes.
        engine: what samples text, `transformers` or `vllm`.

    Raises:
        KeyError: for an unknown recipe name.
        vapo_core.training.update.Diverged: when a loss, gradient or value stops being finite.
    """
    torch.set_num_threads(1)
    numbers, seeds, cache = settings or DEFAULT_SETTINGS[world], seeds_of(seed), Path(cache)
    if isinstance(recipe, str):
        bundle = RECIPES[recipe]
        recipe = assemble(bundle.toggles, numbers, bundle.variants)
    built = build_world(world, task, type(task).__name__, base or Base(), numbers, seeds, cache, engine)
    points: list[tuple[int, Mapping[str, float]]] = []

    def record(step: int, metrics: Mapping[str, float]) -> None:
        points.append((step, metrics))
        if write is not None:
            write(step, metrics)

    Trainer(built, recipe, numbers, evaluation or DEFAULT_EVALUATION[world], seed, steps, cache).run(record)
    return Result(points, built)
