"""The interface of a world: task, networks and engine of one run. The trainer does not know which world it runs in."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

from vapo_core.distributed.ranks import Ranks
from vapo_core.oracles.monte_carlo import Continued
from vapo_core.rollout.base import Engine
from vapo_core.tasks.base import Task
from vapo_core.types import Batch, Problem, Rollout

Reference = Callable[[Batch], tuple[Tensor, Tensor]]
"""batch -> (log-probabilities, entropy), both [B, T], of a policy that is not trained."""


class TokenDescription(NamedTuple):
    """One token in words."""

    text: str
    """What was chosen."""
    state: str
    """What it was chosen in, where the tokens before it do not say so; else empty."""


class Branches(NamedTuple):
    """Alternative next steps at places of responses."""

    responses: Rollout
    """Responses that begin with a place's prefix, one alternative, and at least a token more."""
    problems: Sequence[Problem]
    """One per response."""
    row: np.ndarray
    """[M] response each alternative is in."""
    time: np.ndarray
    """[M] tokens through the end of the alternative: V after it stands before token `time`."""
    place: np.ndarray
    """[M] number of the place; alternatives to one another share it and differ."""


class World(Protocol):
    """Task, policy, critic and engine of one run."""

    task: Task
    policy: nn.Module
    """batch -> (log-probabilities, entropy), both [B, T] and finite everywhere, padding included."""
    critic: nn.Module
    """batch -> values [B, T], finite everywhere, padding included."""
    engine: Engine
    repeats: bool
    """Whether most tokens of a large batch are alike to the policy, so that `merged` leaves few of them."""
    ranks: Ranks
    """The processes that share the run; `Single` until it is told otherwise."""
    identity: Mapping[str, Any]
    """JSON content that determines the base policy and the critic's start; part of a warm critic's key."""

    def join(self, ranks: Ranks) -> None:
        """Share the run with other processes from here on."""
        ...

    def exact_metrics(self) -> dict[str, float]:
        """Evaluation metrics known without sampling."""
        ...

    def exact_gradient(self, problems: Sequence[Problem]) -> Tensor | None:
        """grad J over these problems by all policy parameters, flat; None if unavailable."""
        ...

    def exact_change(self, policy: nn.Module, problems: Sequence[Problem]) -> float | None:
        """J of another policy minus J of this world's, over these problems; None if it is not known exactly."""
        ...

    def exact_changes(self, problems: Sequence[Problem]) -> Callable[[Any], float] | None:
        """`exact_change` for many policies, as a function of the policy; J of this world's policy is computed once."""
        ...

    def exact_outcomes(self, problems: Sequence[Problem]) -> np.ndarray | None:
        """[N, modes + 1] probability of a right answer in each mode, and of a guess; None where they are not known."""
        ...

    def demonstrated(self, problems: Sequence[Problem], seed: int) -> Batch:
        """The task's demonstrations as responses, for probes that need fixed prefixes; rewards and log-probs are 0."""
        ...

    def exact_at(self, responses: Rollout | Batch, row: np.ndarray, time: np.ndarray) -> np.ndarray | None:
        """[N] exact values before token `time` of responses `row`; None where they are not known."""
        ...

    def continuations(
        self,
        responses: Rollout | Batch,
        problems: Sequence[Problem],
        row: np.ndarray,
        time: np.ndarray,
        each: int,
        seed: int,
    ) -> Continued:
        """Results of `each` fresh continuations of every place, in verifier units, and the tokens sampled."""
        ...

    def branches(self, problems: Sequence[Problem], rollout: Rollout, places: int, seed: int) -> Branches:
        """Different next steps, none of which ends the response, at up to `places` step starts of responses."""
        ...

    def start(self) -> "World":
        """This world before anything was trained: the policy that RL starts from. Global random state stays."""
        ...

    def reference(self) -> Reference:
        """The present policy, frozen: what a KL penalty holds to."""
        ...

    def reach(self, problems: Sequence[Problem], rollout: Rollout) -> Tensor:
        """[B, T] log-probability (nats) with which the policy reaches each place, as far as the world can tell places apart."""
        ...

    def state_labels(self, batch: Batch) -> Tensor:
        """[B, T] int, a label of what a token is chosen in, equal where the world's next steps are alike."""
        ...

    def merged(self, batch: Batch, weights: Mapping[str, Tensor]) -> tuple[Batch, Mapping[str, Tensor]]:
        """Tokens that the policy reads alike and answers alike as one, their weights summed; as it is if `repeats` is false.

        sum_t w_t f(log pi_t) and its derivatives are as before, but for rounding.

        Args:
            batch: B responses.
            weights: name -> [B, T], 0 where masked.

        Returns:
            N responses of one token each, and by name their weights [N, 1]; rewards, groups and steps are 0.
        """
        ...

    def describe(self, rollout: Rollout) -> list[list[TokenDescription]]:
        """Every response's tokens in words, stop token included."""
        ...

    def check(self, split: str, problems: Sequence[Problem]) -> None:
        """Check that every problem of a split fits the model.

        Raises:
            ValueError: naming the first that does not.
        """
        ...

    def try_saving(self) -> None:
        """Check that the files saved beside the weights can be written.

        Raises:
            ValueError: if it cannot.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write policy and critic weights, each in a folder of its own."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...
