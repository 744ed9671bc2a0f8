"""An engine whose log-probabilities are not the policy's: the policy's replace them, and the difference is logged.

Shapes: B responses, T tokens. gap [B, T] is log pi_policy - log pi_engine of each sampled token in nats, 0 where masked.
"""

from dataclasses import replace

import torch
from torch import Tensor

from vapo_core.rollout.base import Engine
from vapo_core.training.learner import Learner
from vapo_core.types import Batch


def recompute_logprobs(batch: Batch, engine: Engine, policy: Learner) -> tuple[Batch, Tensor]:
    """The batch with the policy's log-probabilities as the old ones, so that ratios start at 1, and the gap to the engine's.

    An exact engine's batch is returned as it is, with a gap of 0.
    """
    if engine.exact:
        return batch, torch.zeros_like(batch.logp_old)
    logp = policy.ranks.read(policy.module, batch)[0]
    return replace(batch, logp_old=logp, logp_ref=logp), logp - batch.logp_old


def mismatch_metrics(engine: Engine, gap: Tensor, mask: Tensor, cap: float) -> dict[str, float]:
    """How far the engine's sampling distribution is from the policy's; empty for an exact engine."""
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
