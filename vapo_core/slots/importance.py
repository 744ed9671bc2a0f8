"""Where the engine's log-probabilities are not the policy's: the policy's are trained on, the difference is logged and,
if asked, corrected for.

Shapes: B responses, T tokens. gap [B, T] is log pi_policy - log pi_engine of each sampled token in nats, 0 where masked.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from vapo_core.rollout.base import Engine
from vapo_core.settings import Settings
from vapo_core.training.learner import Learner
from vapo_core.types import AdvantageBatch, Batch

Weigh = Callable[[Tensor], Tensor]
"""gap [B, T] -> weight of each token's policy loss [B, T]."""


def recompute_logprobs(batch: Batch, engine: Engine, policy: Learner) -> tuple[Batch, Tensor]:
    """The batch with the policy's log-probabilities for old ones, so that ratios begin at 1, and the gap to the engine's."""
    if engine.exact:
        return batch, torch.zeros_like(batch.logp_old)
    logp = policy.ranks.read(policy.module, batch)[0]
    return replace(batch, logp_old=logp, logp_ref=logp), logp - batch.logp_old


def unweighted(gap: Tensor) -> Tensor:
    """[B, T] ones: samples count as the policy's own."""
    return torch.ones_like(gap)


def truncated(gap: Tensor, cap: float) -> Tensor:
    """[B, T] min(pi_policy / pi_engine, cap): importance weights token by token, truncated (Ionides, JCGS 2008)."""
    return gap.exp().clamp(max=cap)


def default(settings: Settings) -> Weigh:
    """What the settings ask for."""
    return partial(truncated, cap=settings.importance_cap) if settings.importance_weighting else unweighted


def weighted(credited: AdvantageBatch, weights: Tensor) -> AdvantageBatch:
    """Credit for a policy loss with weights [B, T] of 0 or more: they may as well multiply the advantages."""
    return replace(credited, advantages=credited.advantages * weights)


def mismatch_metrics(engine: Engine, gap: Tensor, mask: Tensor, cap: float) -> dict[str, float]:
    """How far the engine samples from the policy; nothing where it samples from just that."""
    if engine.exact:
        return {}
    distance = gap[mask].abs()
    return {
        "rollout/mismatch_mean": float(distance.mean()),
        "rollout/mismatch_max": float(distance.max()),
        "rollout/ess": effective_share(gap[mask]),
        "rollout/ess_sequence": effective_share(gap.sum(1)),
        "rollout/capped": float((gap[mask].exp() > cap).float().mean()),
    }


def effective_share(log_weights: Tensor) -> float:
    """Effective sample size of N importance weights as a share of N: (sum w)^2 / (N sum w^2), in (0, 1] (Kong 1992)."""
    twice = torch.logsumexp(log_weights, 0) * 2 - torch.logsumexp(2 * log_weights, 0)
    return float((twice - torch.tensor(float(len(log_weights))).log()).exp())


VARIANTS: Mapping[str, Callable[[Settings], Weigh]] = {}
