"""`train(...)`: a recipe on a task, one's own or one by name, in one call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from vapo_core.frozen import Frozen
from vapo_core.recipe import RECIPES, Recipe, assemble
from vapo_core.seeds import seeds_of
from vapo_core.settings import DEFAULT_SETTINGS, Base, Evaluation, RecipeSpec, Settings, evaluation_of, settings_of
from vapo_core.suggest import nearest
from vapo_core.tasks import TASKS, make_task
from vapo_core.tasks.base import Task
from vapo_core.trainer import Trainer, Write
from vapo_core.worlds import build_world

Numbers = TypeVar("Numbers", bound=Frozen)


class Result(NamedTuple):
    """What a run leaves."""

    points: list[tuple[int, Mapping[str, float]]]
    """(RL steps finished, named metrics), as `vapo_core.training.metrics.METRICS` explains them."""
    world: Any
    """The trained policy and critic, with the engine: `world.engine.generate(problems, answers_each, seed)`."""
    settings: Settings
    """Every number the run used."""

    def curve(self, metric: str = "val/pass_at_1") -> list[tuple[int, float]]:
        """One metric over RL steps."""
        return [(step, metrics[metric]) for step, metrics in self.points if metric in metrics]


def train(
    task: str | Task,
    recipe: str | RecipeSpec | Recipe = "vapo",
    world: str | None = None,
    base: Base | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    evaluation: Evaluation | Mapping[str, Any] | None = None,
    steps: int = 30,
    seed: int = 0,
    cache: Path | str = "runs",
    write: Write | None = None,
    engine: str = "transformers",
    dials: Mapping[str, Any] | None = None,
) -> Result:
    """Train a recipe on a task.

    Args:
        task: a name in `TASKS`, or any object with the interface of `vapo_core.tasks.base.Task`, such as a `FunctionTask`.
        recipe: a name in `RECIPES`, one of its values, or a `Recipe` put together by hand.
        world: `lm` (text) or `walk`; the task's own if not given.
        base: the policy to start from: a size pretrained here on the task's demonstrations (the default), or a checkpoint.
        settings: the numbers to change, `Settings(alpha=0.4)` or `{"alpha": 0.4}`; all others are the defaults of the world
            and base model, as on the command line, not those of the class.
        evaluation: what to change in when, and on how many held-out problems, the run is evaluated; likewise.
        steps: RL steps.
        seed: draws problems, critic head, samples and evaluation.
        cache: folder for base models and warm critics.
        write: called with every point as it comes.
        engine: what samples text, `transformers` or `vllm`.
        dials: of a task given by name, in place of its defaults.

    Raises:
        ValueError: for an unknown name, an impossible number, or an argument of another type, saying what to pass.
        vapo_core.training.update.Diverged: when a loss, gradient or value stops being finite.
    """
    torch.set_num_threads(1)
    name, made = _task(task, dials or {})
    world, base, seeds, cache = world or _world_of(made), base or Base(), seeds_of(seed), Path(cache)
    if world not in DEFAULT_SETTINGS:
        raise ValueError(f"world: no world {world!r}{nearest(world, DEFAULT_SETTINGS)}")
    numbers = _filled("settings", settings, settings_of(world, base.model))
    exam = _filled("evaluation", evaluation, evaluation_of(world, base.model))
    slots = _recipe(recipe, numbers)
    built = build_world(world, made, name, base, numbers, seeds, cache, engine)
    points: list[tuple[int, Mapping[str, float]]] = []

    def record(step: int, metrics: Mapping[str, float]) -> None:
        points.append((step, metrics))
        if write is not None:
            write(step, metrics)

    Trainer(built, slots, numbers, exam, seed, steps, cache).run(record)
    return Result(points, built, numbers)


def _task(task: str | Task, dials: Mapping[str, Any]) -> tuple[str, Any]:
    """Name, by which base models are cached, and task."""
    if isinstance(task, str):
        return task, make_task(task, dials)
    if dials:
        raise ValueError("dials: they are of a task given by name; this one is an object, which has its own")
    if not all(hasattr(task, part) for part in ("sample", "verify", "max_tokens")):
        raise ValueError(
            f"task: expected a name ({', '.join(TASKS)}) or a task such as a FunctionTask, got {task!r:.80}"
        )
    return type(task).__name__, task


def _world_of(task: Any) -> str:
    """The world of one of our tasks; text for anybody's own."""
    return next(
        (entry.world for entry in TASKS.values() if isinstance(entry.task, type) and isinstance(task, entry.task)), "lm"
    )


def _recipe(recipe: str | RecipeSpec | Recipe, settings: Settings) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"recipe: no recipe {recipe!r}{nearest(recipe, RECIPES)}")
        recipe = RECIPES[recipe]
    if not isinstance(recipe, RecipeSpec):
        raise ValueError(
            f"recipe: expected a name ({', '.join(RECIPES)}), a value of RECIPES or a Recipe, got {recipe!r:.80}"
        )
    return assemble(recipe.toggles, settings, recipe.variants)


def _filled(what: str, changes: Numbers | Mapping[str, Any] | None, usual: Numbers) -> Numbers:
    """The defaults with what was given laid over them."""
    if isinstance(changes, type(usual)):
        changes = {name: getattr(changes, name) for name in changes.model_fields_set}
    if not isinstance(changes, Mapping | None):
        raise ValueError(f"{what}: expected {type(usual).__name__}(...) or a dictionary, got {changes!r:.80}")
    return type(usual)(**{**usual.model_dump(), **(changes or {})})
