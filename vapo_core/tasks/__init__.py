"""Tasks by name, `TASKS[name] = (dials, task)`; one file per task, dials checked before anything is built."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from vapo_core.settings import BASE_SIZES, Base, Frozen
from vapo_core.suggest import nearest
from vapo_core.tasks.addition import Addition, AdditionDials
from vapo_core.tasks.aime_2024 import Aime2024, Aime2024Dials
from vapo_core.tasks.chain import Chain, ChainDials
from vapo_core.tasks.competition_math import CompetitionMath, MathDials
from vapo_core.tasks.dapo_math_17k import DapoMath17k, DapoMath17kDials
from vapo_core.tasks.gsm8k import Gsm8k, Gsm8kDials
from vapo_core.tasks.jsonl import Jsonl, JsonlDials
from vapo_core.tasks.reasoning_gym import ReasoningGym, ReasoningGymDials
from vapo_core.tasks.routes import Routes, RoutesDials
from vapo_core.tasks.text_walk import TextWalk, TextWalkDials
from vapo_core.tasks.trap import Trap, TrapDials
from vapo_core.tasks.walk import Walk, WalkDials


class TaskEntry(NamedTuple):
    """A task with the model of its dials and the world it belongs to."""

    dials: type[Frozen]
    task: Callable[[Any], Any]
    """Makes the task from its dials."""
    world: str
    pretrained_here: bool = True
    """Whether base models of `BASE_SIZES` can be made for it; if not, it takes a checkpoint."""


TASKS: dict[str, TaskEntry] = {
    "walk": TaskEntry(WalkDials, Walk, "walk"),
    "text_walk": TaskEntry(TextWalkDials, TextWalk, "lm"),
    "chain": TaskEntry(ChainDials, Chain, "lm"),
    "addition": TaskEntry(AdditionDials, Addition, "lm"),
    "trap": TaskEntry(TrapDials, Trap, "lm"),
    "routes": TaskEntry(RoutesDials, Routes, "lm"),
    "reasoning_gym": TaskEntry(ReasoningGymDials, ReasoningGym, "lm"),
    "gsm8k": TaskEntry(Gsm8kDials, Gsm8k, "lm", pretrained_here=False),
    "math": TaskEntry(MathDials, CompetitionMath, "lm", pretrained_here=False),
    "aime_2024": TaskEntry(Aime2024Dials, Aime2024, "lm", pretrained_here=False),
    "dapo_math_17k": TaskEntry(DapoMath17kDials, DapoMath17k, "lm", pretrained_here=False),
    "jsonl": TaskEntry(JsonlDials, Jsonl, "lm", pretrained_here=False),
}


def check_base(task: str, base: Base) -> None:
    """Refuse a base model that cannot be pretrained here.

    Raises:
        ValueError: saying what to give instead.
    """
    if base.model in BASE_SIZES and not TASKS[task].pretrained_here:
        raise ValueError(
            f"base.model = {base.model!r}: task {task} has no base model made here; give a checkpoint, a folder or a name"
            " such as Qwen/Qwen2.5-0.5B"
        )


def make_task(name: str, dials: Mapping[str, Any]) -> Any:
    """Build a task from its name and dials.

    Raises:
        ValueError: for an unknown name (the nearest one is named) or, as pydantic's ValidationError, an impossible dial.
    """
    if name not in TASKS:
        raise ValueError(f"task: no task {name!r}{nearest(name, TASKS)}")
    entry = TASKS[name]
    return entry.task(entry.dials(**dials))
