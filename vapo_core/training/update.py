"""One update, top to bottom: values -> credit -> losses -> optimiser steps. It asks nothing about components or worlds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vapo_core.distributed.ranks import Ranks
from vapo_core.functional.losses import clipped_surrogate, linear_weights, regularisers, token_mean, value_loss
from vapo_core.models.ragged import micro_batches
from vapo_core.recipe import Recipe, Settings
from vapo_core.training.learner import Learner
from vapo_core.types import AdvantageBatch, Batch, picked


class Diverged(ArithmeticError):
    """A loss, gradient or value stopped being finite; the run ends with this reason."""


class Seen(NamedTuple):
    """A micro-batch as its losses saw it."""

    mask: Tensor
    """[b, T] bool, valid tokens."""
    ratio: Tensor
    """[b, T] new over old probability."""
    advantages: Tensor
    """[b, T]."""
    low: Tensor
    """[b, T] or [], lower clip bound."""
    high: Tensor
    """[b, T] or [], upper clip bound."""


@dataclass
class Trace:
    """What the metrics need of one update; lists have one entry per optimiser step or micro-batch."""

    seen: list[Seen] = field(default_factory=list)
    policy_grad_norm: list[float] = field(default_factory=list)
    critic_grad_norm: list[float] = field(default_factory=list)
    policy_loss: list[float] = field(default_factory=list)
    value_loss: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> list[Tensor]:
        """[N] new over old probability of every valid token, in the order visited."""
        return self._valid("ratio")

    @property
    def advantages(self) -> list[Tensor]:
        """[N] advantage of the same tokens."""
        return self._valid("advantages")

    @property
    def low(self) -> list[Tensor]:
        """[N] lower clip bound of the same tokens."""
        return self._valid("low")

    @property
    def high(self) -> list[Tensor]:
        """[N] upper clip bound of the same tokens."""
        return self._valid("high")

    def tokens(self, ranks: Ranks) -> dict[str, Tensor]:
        """These four for the valid tokens that all ranks visited, [N] each."""
        own = {name: self._valid(name) for name in ("ratio", "advantages", "low", "high")}
        return {name: torch.cat(parts) for name, parts in ranks.lists(own).items()}

    def _valid(self, name: str) -> list[Tensor]:
        return [getattr(part, name).expand_as(part.mask)[part.mask] for part in self.seen]


def assign_credit(batch: Batch, values: Tensor, recipe: Recipe) -> AdvantageBatch:
    """Advantages and value targets for a whole batch, from the values before the update.

    Args:
        batch: B graded responses.
        values: [B, T] the critic's values.
        recipe: supplies both lambdas, the credit rule and whitening.

    Raises:
        Diverged: if a value is not finite.
    """
    lam_policy = recipe.horizon(recipe.length_adaptive_gae, batch, values)
    lam_value = recipe.decoupled_gae(lam_policy)
    advantages, targets = recipe.credit.assign(batch, values, lam_policy, lam_value)
    _finite(targets, "value target")
    return AdvantageBatch(recipe.whiten(advantages, batch.mask), targets, values, lam_policy, lam_value)


def update(
    batch: Batch,
    credited: AdvantageBatch,
    recipe: Recipe,
    settings: Settings,
    policy: Learner,
    critic: Learner,
    generator: torch.Generator,
) -> Trace:
    """Several passes of mini-batch steps on policy and critic.

    Every loss is normalised over its whole mini-batch, so splitting a mini-batch into micro-batches, or over ranks, changes
    nothing.

    Raises:
        Diverged: if a loss or a gradient norm is not finite.
    """
    trace, ranks = Trace(), policy.ranks
    for rows in _mini_batches(len(batch.mask), settings.mini_batches, settings.epochs, generator):
        part, credit = batch.take(rows), credited.take(rows)
        weights = _whole_batch_weights(part, recipe)
        losses = torch.zeros(2)
        slices = slices_of(part, settings, ranks)
        for number, micro in enumerate(slices, start=1):
            with ranks.collecting(number == len(slices), policy.forward, critic.forward):
                policy_part, value_part = _micro_losses(
                    part.take(micro),
                    credit.take(micro),
                    picked(weights, micro),
                    recipe,
                    settings,
                    policy,
                    critic,
                    trace,
                )
                ranks.backward(policy_part + value_part)
            losses += torch.stack([policy_part.detach(), value_part.detach()]).cpu()
        losses = ranks.total(losses)
        _finite(losses, "loss")
        trace.policy_loss.append(float(losses[0]))
        trace.value_loss.append(float(losses[1]))
        trace.policy_grad_norm.append(policy.step())
        trace.critic_grad_norm.append(critic.step())
        _finite(trace.policy_grad_norm[-1] + trace.critic_grad_norm[-1], "gradient norm")
    return trace


def _mini_batches(responses: int, parts: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row indices of every mini-batch, shuffled anew in each epoch."""
    for _ in range(epochs):
        yield from torch.randperm(responses, generator=generator).tensor_split(parts)


def slices_of(part: Batch, settings: Settings, ranks: Ranks) -> list[Tensor]:
    """Row numbers of this rank's micro-batches; ranks share the mini-batch's micro-batches among them."""
    rows = torch.arange(len(part.mask))[ranks.share(len(part.mask))]
    own = micro_batches(part.take(rows), -(-settings.micro_batches // ranks.size), settings.tokens_per_micro_batch)
    return [rows[micro] for micro in ranks.even(own)]


def _whole_batch_weights(part: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """[B, T] weight of each token's surrogate, log-probability and unreduced extra losses in the mini-batch's loss."""
    like = part.logp_old
    return {
        "surrogate": linear_weights(recipe.token_level_loss, like, part.mask),
        "imitation": linear_weights(recipe.positive_lm_loss, like, part.mask, part.correct),
        "token": linear_weights(token_mean, like, part.mask),
    }


def _micro_losses(
    part: Batch,
    credit: AdvantageBatch,
    weights: Mapping[str, Tensor],
    recipe: Recipe,
    settings: Settings,
    policy: Learner,
    critic: Learner,
    trace: Trace,
) -> tuple[Tensor, Tensor]:
    """This slice's share of the mini-batch's policy loss and value loss, two scalars."""
    logp, entropy = policy.forward(part)
    ratio = (logp - part.logp_old).exp()
    low, high = recipe.clip_higher.bounds(credit.advantages)
    surrogate = clipped_surrogate(ratio, credit.advantages, low, high)
    penalties = regularisers(logp, part.logp_ref, entropy, settings.kl_coef, settings.entropy_coef)
    per_token = weights["surrogate"] * surrogate + weights["imitation"] * logp + weights["token"] * penalties

    values = critic.forward(part)
    critic_loss = weights["token"] * value_loss(values, credit.values, credit.targets, settings.value_clip)

    bounds = (torch.as_tensor(bound, device=ratio.device) for bound in (low, high))
    trace.seen.append(Seen(part.mask, ratio.detach(), credit.advantages, *bounds))
    return per_token.sum(), critic_loss.sum()


def _finite(x: Tensor | float, name: str) -> None:
    """Raise Diverged unless every entry is finite."""
    if not torch.isfinite(torch.as_tensor(x)).all():
        raise Diverged(f"{name} is not finite")
