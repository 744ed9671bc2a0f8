"""A task whose responses are graded once among the processes that share a run."""

from collections.abc import Sequence
from typing import Any

from vapo_core.distributed.ranks import Ranks
from vapo_core.tasks.base import Grade, Task, verify_all
from vapo_core.types import Problem


class SharedTask:
    """The task itself in every other respect.

    Each response is graded by one rank and the others take its word: where a verifier has a time limit, two of them might
    not agree, and then would no longer train on the same batch.
    """

    def __init__(self, task: Task, ranks: Ranks) -> None:
        self.task, self.ranks = task, ranks

    def __getattr__(self, name: str) -> Any:
        if name == "task":  # not yet there while a copy is being made
            raise AttributeError(name)
        return getattr(self.task, name)

    def verify_all(self, problems: Sequence[Problem], responses: Sequence[Any]) -> list[Grade]:
        """A grade per response, each to its own problem."""
        found = self.ranks.shared_out(
            len(responses), lambda part: verify_all(self.task, problems[part], responses[part])
        )
        return [Grade(*grade) for grade in found]
