"""What flows through one update. Axes: P prompts, G answers per prompt, B = P * G responses, T tokens."""

from __future__ import annotations  # keeps torch a type-checking import, so that tasks and specs stay light

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """One question with what its verifier needs to know."""

    prompt: str
    """Text the model reads (the walk world draws its start state from `answer` instead)."""
    answer: Any
    """Whatever the task's verifier compares a response with; never shown to the model."""
    kind: str = ""
    """Problem type, for batches grouped by type."""
    difficulty: float = 0.0
    """Any monotone measure of difficulty (the tasks here use the shortest correct response, in decisions)."""


@dataclass(frozen=True)
class Rollout:
    """B sampled responses, all answers to one prompt side by side."""

    inputs: Mapping[str, Tensor]
    """What the world's policy and critic read; every tensor has leading dimension B."""
    mask: Tensor
    """[B, T] bool, true on response tokens, stop token included."""
    logp: Tensor
    """[B, T] nats, log-probability of each sampled token under the sampling policy; 0 where masked."""
    responses: tuple[Any, ...]
    """B responses as the verifier reads them (text, or the walk's path)."""
    truncated: Tensor
    """[B] bool, true where the length limit ended the response instead of a stop token."""
    step: Tensor
    """[B, T] int, step of reasoning of each token, from 0; every token its own where the task has no steps."""


@dataclass(frozen=True)
class Batch:
    """B graded responses: everything an update needs except values and advantages."""

    inputs: Mapping[str, Tensor]
    """Opaque to the update; every tensor has leading dimension B."""
    mask: Tensor
    """[B, T] bool, true on response tokens."""
    logp_old: Tensor
    """[B, T] nats, log-probabilities under the sampling policy."""
    logp_ref: Tensor
    """[B, T] nats, log-probabilities under the reference policy (equal to `logp_old` when there is none)."""
    rewards: Tensor
    """[B] terminal reward in the units of `reward_low` .. `reward_high`, after shaping."""
    correct: Tensor
    """[B] bool, verifier reward of 1."""
    group: Tensor
    """[B] int, index of the prompt within the step."""
    step: Tensor
    """[B, T] int, which step of reasoning each token belongs to, from 0; every token its own where a task has no steps."""

    @classmethod
    def ungraded(cls, rollout: Rollout) -> Self:
        """A rollout in the form policy and critic read; rewards are 0 and mean nothing."""
        zeros = rollout.logp.new_zeros(len(rollout.mask))
        return cls(
            rollout.inputs, rollout.mask, rollout.logp, rollout.logp, zeros, zeros.bool(), zeros.long(), rollout.step
        )

    @property
    def lengths(self) -> Tensor:
        """[B] int, number of response tokens, stop token included."""
        return self.mask.sum(1)

    def take(self, rows: Tensor) -> Self:
        """The same batch restricted to some responses, in the given order."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "inputs"}
        return replace(self, inputs=picked(self.inputs, rows), **picked(own, rows))


@dataclass(frozen=True)
class AdvantageBatch:
    """Credit for one batch, computed once from the values before the update."""

    advantages: Tensor
    """[B, T] what the policy loss multiplies, after whitening; 0 where masked."""
    targets: Tensor
    """[B, T] what the critic regresses on; 0 where masked."""
    values: Tensor
    """[B, T] the critic's values before the update."""
    lam_policy: Tensor
    """[B] in [0, 1], lambda of the policy's advantages."""
    lam_value: Tensor
    """[B] in [0, 1], lambda of the critic's targets."""

    def take(self, rows: Tensor) -> Self:
        """The same credit restricted to some responses."""
        return replace(self, **picked({f.name: getattr(self, f.name) for f in fields(self)}, rows))


def picked(tensors: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """Tensors restricted to some of their B rows, in the given order; not copied where that is all rows as they stand.

    rows: [b] int.
    """
    first = next(iter(tensors.values()))
    if len(rows) == len(first) and bool((rows.diff() > 0).all()):
        return dict(tensors)
    rows = rows.to(first.device)
    return {name: x.index_select(0, rows) for name, x in tensors.items()}
