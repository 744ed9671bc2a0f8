"""What a trainer is given: the task, the networks and the engine of one run. The trainer cannot tell which world it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from vapo_core.oracles.truth import Truth
from vapo_core.rollout.base import Engine
from vapo_core.settings import Settings
from vapo_core.tasks.base import Task
from vapo_core.types import Batch, Problem, Rollout


class World(Protocol):
    """Task, policy, critic and engine of one run."""

    task: Task
    policy: nn.Module
    """batch -> (log-probabilities, entropy), both [B, T] and finite everywhere, padding included."""
    critic: nn.Module
    """batch -> values [B, T], finite everywhere, padding included."""
    engine: Engine
    identity: Mapping[str, Any]
    """JSON content that determines the base policy and the critic's start; part of a warm critic's key."""

    def exact_metrics(self) -> dict[str, float]:
        """Evaluation metrics known without sampling."""
        ...

    def exact_gradient(self, problems: Sequence[Problem]) -> Tensor | None:
        """grad J over these problems by all policy parameters, flat; None where it cannot be had."""
        ...

    def exact_change(self, policy: nn.Module, problems: Sequence[Problem]) -> float | None:
        """J of another policy minus J of this world's, over these problems; None where it cannot be had exactly."""
        ...

    def demonstrated(self, problems: Sequence[Problem], seed: int) -> Batch:
        """The task's demonstrations as responses, for probes that need fixed prefixes; rewards and log-probs are 0."""
        ...

    def value_truth(self, problems: Sequence[Problem], rollout: Rollout, seed: int, settings: Settings) -> Truth:
        """True values at places of sampled responses (one problem each), with the critic's beside them."""
        ...

    def step_values(
        self, batch: Batch, problems: Sequence[Problem], continuations: int, seed: int
    ) -> tuple[Tensor, int]:
        """[B, T] mean verifier reward of fresh continuations from the start of each token's step, and tokens sampled."""
        ...

    def save(self, folder: Path) -> None:
        """Write policy and critic weights, each in a folder of its own."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...
