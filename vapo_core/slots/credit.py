"""Who gets the credit: how advantages and value targets come from rewards and values.

Shapes: B responses, T tokens.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from vapo_core.functional.advantages import gae, group_relative
from vapo_core.oracles.monte_carlo import step_starts
from vapo_core.settings import Settings
from vapo_core.types import Batch

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


def segment_level(
    steps: int, batch: Batch, values: Tensor, lam_policy: Tensor, lam_value: Tensor
) -> tuple[Tensor, Tensor]:
    """`step_level` over segments of so many consecutive steps: decisions within a segment share one advantage.

    A segment stands for an action that takes several decisions (SPO, arXiv:2505.23564; MA-RLHF's macro actions,
    arXiv:2410.02743); lambda_policy acts once per segment, the last of which may be shorter.
    """
    return step_level(replace(batch, step=batch.step // steps), values, lam_policy, lam_value)


def vine(batch: Batch, values: Tensor, lam_policy: Tensor, lam_value: Tensor) -> tuple[Tensor, Tensor]:
    """VinePPO: a step's advantage is the change of its (Monte-Carlo) value, lambda 0 (arXiv:2410.01679, eq. 6)."""
    advantages, _ = step_level(batch, values, torch.zeros_like(lam_policy), lam_value)
    return advantages, torch.zeros_like(values)  # `NoCritic` predicts 0 and is not trained


CREDIT = {
    "critic": CreditRule(critic_gae, True),
    "group_relative": CreditRule(group_credit, False),
    "step_level": CreditRule(step_level, True),
    "vine": CreditRule(vine, False),
}


def default(settings: Settings) -> CreditRule:
    """GAE with the critic's values."""
    return CREDIT["critic"]


def _as_it_is(rule: CreditRule, settings: Settings) -> CreditRule:
    """A credit rule needs no numbers."""
    return rule


def _segments(settings: Settings) -> CreditRule:
    return CreditRule(partial(segment_level, settings.segment_steps), True)


VARIANTS: Mapping[str, Callable[[Settings], CreditRule]] = {
    **{name: partial(_as_it_is, rule) for name, rule in CREDIT.items()},
    "segment_level": _segments,
}
