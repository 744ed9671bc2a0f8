"""What an engine offers: answers to problems, sampled from the current policy with recorded log-probabilities."""

from collections.abc import Sequence
from typing import Protocol

from vapo_core.types import Problem, Rollout


class Engine(Protocol):
    """Samples responses."""

    @property
    def exact(self) -> bool:
        """Whether its log-probabilities are those of the policy that is trained, computed the same way; if not, the trainer
        takes the policy's, and the difference is logged.
        """
        ...

    def generate(self, problems: Sequence[Problem], answers_each: int, seed: int) -> Rollout:
        """`answers_each` responses per problem, side by side; the same seed gives the same responses."""
        ...

    def sync(self) -> None:
        """Make the engine sample from the policy's present weights (nothing to do where they are shared)."""
        ...

    def release(self) -> None:
        """Give memory back until it samples again, where it has any of its own."""
        ...
