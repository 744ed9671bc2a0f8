"""Who gets the credit: slots besides the seven components. Each has an identity, so the update asks nothing.

Shapes: B responses, T tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vapo_core.functional.advantages import gae, group_relative, whiten
from vapo_core.oracles.monte_carlo import step_start_values, step_starts
from vapo_core.settings import Settings
from vapo_core.types import Batch, Problem

Assign = Callable[[Batch, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class CreditRule(NamedTuple):
    """How advantages and value targets come from rewards and values."""

    assign: Assign
    """(batch, values [B, T], lambda_policy [B], lambda_value [B]) -> (advantages, targets), both [B, T]."""
    needs_critic: bool
    """False where a `NoCritic` of zero values serves."""


def terminal_rewards(batch: Batch) -> Tensor:
    """[B, T], each response's reward on its last valid token, 0 elsewhere."""
    last = batch.mask.shape[1] - 1 - batch.mask.flip(1).int().argmax(1)
    rewards = torch.zeros_like(batch.logp_old)
    rewards[torch.arange(len(rewards)), last] = batch.rewards.to(rewards)
    return rewards


def critic_gae(batch: Batch, values: Tensor, lam_policy: Tensor, lam_value: Tensor) -> tuple[Tensor, Tensor]:
    """GAE with the critic's values; targets are lambda-returns, GAE(lambda_value) + V."""
    rewards = terminal_rewards(batch)
    targets = gae(rewards, values, batch.mask, lam_value) + values.where(batch.mask, 0.0)
    return gae(rewards, values, batch.mask, lam_policy), targets


def group_credit(batch: Batch, values: Tensor, lam_policy: Tensor, lam_value: Tensor) -> tuple[Tensor, Tensor]:
    """GRPO: every token of a response carries its standing within the group; targets leave the critic as it is."""
    standing = group_relative(batch.rewards.to(values), batch.group)
    return standing[:, None].expand_as(values).where(batch.mask, 0.0), values.where(batch.mask, 0.0)


def by_step(x: Tensor, step: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """[B, T] numbers of tokens to [B, K] numbers of steps, each step's first token's, and which steps there are."""
    number = int(step.where(mask, 0).max()) + 1
    first = step_starts(step, mask)
    place = step.where(first, number)  # everything else goes into a column that is cut off
    found = x.new_zeros(len(x), number + 1).scatter(1, place, x)[:, :number]
    exists = torch.zeros(len(x), number + 1, dtype=torch.bool, device=x.device).scatter(1, place, first)[:, :number]
    return found, exists


def step_level(batch: Batch, values: Tensor, lam_policy: Tensor, lam_value: Tensor) -> tuple[Tensor, Tensor]:
    """GAE over steps of reasoning: all tokens of a step share its advantage; targets stay token by token.

    lambda_policy acts once per step here, not once per token (SPO, arXiv:2505.23564, credits segments in this way).
    """
    at_steps, exists = by_step(values, batch.step, batch.mask)
    last = exists.shape[1] - 1 - exists.flip(1).int().argmax(1)
    rewards = torch.zeros_like(at_steps)
    rewards[torch.arange(len(rewards)), last] = batch.rewards.to(rewards)
    per_step = gae(rewards, at_steps, exists, lam_policy)
    _, targets = critic_gae(batch, values, lam_policy, lam_value)
    return per_step.gather(1, batch.step.where(batch.mask, 0)).where(batch.mask, 0.0), targets


def vine(batch: Batch, values: Tensor, lam_policy: Tensor, lam_value: Tensor) -> tuple[Tensor, Tensor]:
    """VinePPO: a step's advantage is the change of its (Monte-Carlo) value, lambda 0 (arXiv:2410.01679, eq. 6)."""
    advantages, _ = step_level(batch, values, torch.zeros_like(lam_policy), lam_value)
    return advantages, torch.zeros_like(values)  # the critic that is not there says 0 and stays there


class Valued(NamedTuple):
    """Values of a batch and what they cost."""

    values: Tensor
    """[B, T]."""
    tokens: int
    """Tokens sampled to get them."""


def critic_values(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> Valued:
    """The learned critic's."""
    return Valued(world.ranks.read(world.critic, batch)[0], 0)


def bounded(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> Valued:
    """The learned critic's, cut to [reward_low, reward_high]: no expected reward lies beyond the rewards there are.

    The cut is where values are read. The critic's own loss stays that of a linear head, whose gradient does not die at the
    ends, as that of a sigmoid does.
    """
    values, tokens = critic_values(world, batch, problems, settings, seed)
    return Valued(values.clamp(settings.reward_low, settings.reward_high).where(batch.mask, 0.0), tokens)


def monte_carlo(world: Any, batch: Batch, problems: Sequence[Problem], settings: Settings, seed: int) -> Valued:
    """Mean reward of K fresh continuations from the start of every step (VinePPO, arXiv:2410.01679)."""
    values, tokens = step_start_values(world, batch, problems, settings.continuations, seed)
    return Valued(settings.reward_low + (settings.reward_high - settings.reward_low) * values, tokens)


def keep_all(rewards: Tensor) -> Tensor:
    """[P, G] -> [P] bool: every group is used."""
    return torch.ones(len(rewards), dtype=torch.bool)


def dynamic_sampling(rewards: Tensor) -> Tensor:
    """DAPO's dynamic sampling: [P, G] -> [P] bool, false where all answers got the same verifier reward.

    arXiv:2503.14476, eq. 11. The overlong penalty does not count: it would keep groups that are all wrong or all right.
    """
    return rewards.amax(1) > rewards.amin(1)


def no_shaping(lengths: Tensor, max_tokens: int) -> Tensor:
    """[B] zeros: the verifier's word is the whole reward."""
    return torch.zeros(len(lengths))


def soft_overlong(settings: Settings) -> Callable[[Tensor, int], Tensor]:
    """DAPO's soft overlong punishment: 0 up to (1 - share) L, then linear to -1 at the limit L (arXiv:2503.14476, eq. 13)."""

    def penalty(lengths: Tensor, max_tokens: int) -> Tensor:
        start = (1 - settings.overlong_share) * max_tokens
        return -((lengths - start) / (max_tokens - start)).clamp(0.0, 1.0)

    return penalty


def unwhitened(x: Tensor, mask: Tensor) -> Tensor:
    """Advantages as they are."""
    return x


def _same(rule: CreditRule, settings: Settings) -> CreditRule:
    """A credit rule needs no numbers."""
    return rule


CREDIT = {
    "critic": CreditRule(critic_gae, True),
    "group_relative": CreditRule(group_credit, False),
    "step_level": CreditRule(step_level, True),
    "vine": CreditRule(vine, False),
}

DEFAULTS: Mapping[str, Callable[[Settings], object]] = {
    "credit": lambda settings: CREDIT["critic"],
    "values": lambda settings: critic_values,
    "select_groups": lambda settings: keep_all,
    "shape_reward": lambda settings: no_shaping,
    "whiten": lambda settings: whiten if settings.whitening else unwhitened,
}

VARIANTS: Mapping[str, Mapping[str, Callable[[Settings], object]]] = {
    "credit": {name: partial(_same, rule) for name, rule in CREDIT.items()},
    "values": {"bounded": lambda settings: bounded, "monte_carlo": lambda settings: monte_carlo},
    "select_groups": {"dynamic_sampling": lambda settings: dynamic_sampling},
    "shape_reward": {"soft_overlong": soft_overlong},
    "whiten": {"none": lambda settings: unwhitened},
}
