"""Tasks by name, `TASKS[name] = (dials, task)`; one file per task, dials checked before anything is built."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vapo_core.settings import Frozen
from vapo_core.suggest import nearest
from vapo_core.tasks.addition import Addition, AdditionDials
from vapo_core.tasks.chain import Chain, ChainDials
from vapo_core.tasks.reasoning_gym import ReasoningGym, ReasoningGymDials
from vapo_core.tasks.routes import Routes, RoutesDials
from vapo_core.tasks.text_walk import TextWalk, TextWalkDials
from vapo_core.tasks.trap import Trap, TrapDials
from vapo_core.tasks.walk import Walk, WalkDials


class Entry(NamedTuple):
    """A task with the model of its dials and the world it belongs to."""

    dials: type[Frozen]
    task: type
    world: str


TASKS: dict[str, Entry] = {
    "walk": Entry(WalkDials, Walk, "walk"),
    "text_walk": Entry(TextWalkDials, TextWalk, "lm"),
    "chain": Entry(ChainDials, Chain, "lm"),
    "addition": Entry(AdditionDials, Addition, "lm"),
    "trap": Entry(TrapDials, Trap, "lm"),
    "routes": Entry(RoutesDials, Routes, "lm"),
    "reasoning_gym": Entry(ReasoningGymDials, ReasoningGym, "lm"),
}


def make_task(name: str, dials: Mapping[str, Any]) -> Any:
    """Build a task from its name and dials.

    Raises:
        ValueError: for an unknown name (the nearest one is named) or, as pydantic's ValidationError, an impossible dial.
    """
    if name not in TASKS:
        raise ValueError(f"task: no task {name!r}{nearest(name, TASKS)}")
    entry = TASKS[name]
    return entry.task(entry.dials(**dials))
