"""How far does one update move the policy, where along the response, and what does it gain?

The update is made on copies of the networks and their optimisers, from a fresh batch of the recipe's own plan.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vapo_core.probes.base import Measurement, View
from vapo_core.seeds import torch_generator
from vapo_core.tasks.base import verify_all
from vapo_core.training.collect import gather
from vapo_core.training.learner import Learner
from vapo_core.training.learning_batch import prepare
from vapo_core.training.mismatch import recompute_logprobs
from vapo_core.training.prompts import PromptStream
from vapo_core.training.update import update
from vapo_core.types import AdvantageBatch, Batch, Problem

RESPONSES = 512
"""Fresh responses of the old policy that the shift is read on."""

METRICS: dict[str, tuple[str, str]] = {
    "policy_shift/kl_response": (
        "nats/response",
        "KL(old || new) of whole responses over one update, k3 on fresh samples",
    ),
    **{
        f"policy_shift/kl_q{q}": ("nats/token", f"the same per token, quarter {q} of the response") for q in range(1, 5)
    },
    "policy_shift/outside": ("share", "tokens whose ratio an update leaves outside the clip"),
    "policy_shift/ratio_p01": ("ratio", "new over old token probability: 1 % of tokens lie below"),
    "policy_shift/ratio_p99": ("ratio", "new over old token probability: 1 % of tokens lie above"),
    "policy_shift/kl_per_square": (
        "nats/reward^2",
        "kl_response over the square of delta_j, noise taken out; absent unless delta_j is clear of 0 and above it",
    ),
    "policy_shift/delta_j": (
        "reward",
        "true change of J by one update (exact), or its paired importance-weighted estimate",
    ),
    "policy_shift/delta_j_se": ("reward", "standard error of that estimate; absent where it is exact"),
}


def measure(view: View) -> Measurement:
    """KL per response and by quarter, ratios outside the clip, and the true change of J by one update."""
    after = updated_policy(view, "policy_shift")
    problems = [view.held_out[i % len(view.held_out)] for i in range(RESPONSES)]
    rollout = view.world.engine.generate(problems, 1, view.seed("policy_shift/responses"))
    batch, _ = recompute_logprobs(Batch.ungraded(rollout), view.world.engine, view.policy)
    with torch.no_grad():
        log_ratio = (after(batch)[0] - batch.logp_old).where(batch.mask, 0.0)
    kl = torch.expm1(log_ratio) - log_ratio  # k3 of KL(old || new) under samples of old
    low, high = view.recipe.clip_higher
    ratio = log_ratio.exp()[batch.mask]
    shift, gain = float(kl.sum(1).mean()), _improvement(view, after, problems, rollout.responses, log_ratio)
    metrics = {
        "policy_shift/kl_response": shift,
        "policy_shift/ratio_p01": float(ratio.quantile(0.01)),
        "policy_shift/ratio_p99": float(ratio.quantile(0.99)),
        "policy_shift/outside": float(((ratio < 1 - low) | (ratio > 1 + high)).float().mean()),
        **_by_quarter(kl, batch),
        **gain,
    }
    change, error = gain["policy_shift/delta_j"], gain.get("policy_shift/delta_j_se", 0.0)
    if change > 2 * error:
        metrics["policy_shift/kl_per_square"] = shift / (change**2 - error**2)
    return Measurement(metrics)


def updated_policy(view: View, stream: str, draw: int = 0) -> nn.Module:
    """A copy of the policy after one more update; the run's own networks and optimisers are not touched.

    Args:
        stream: whose random numbers choose prompts, samples and mini-batches.
        draw: which of that stream's; equal draws are equal updates.
    """
    return stepped(view, *credited_batch(view, stream, draw), copy.deepcopy(view.policy), stream, draw)


def credited_batch(view: View, stream: str, draw: int = 0) -> tuple[Batch, AdvantageBatch]:
    """What one RL step of the recipe would learn from. Args: as `updated_policy`."""
    prompts = PromptStream(view.pool, view.recipe.group_sampling, view.seed(f"{stream}/prompts", draw))
    graded = gather(view.world, view.recipe, view.settings, prompts, 0, view.seed(f"{stream}/sampling", draw))
    found = prepare(
        view.world, view.recipe, view.settings, view.policy, view.reference, graded, view.seed(f"{stream}/values", draw)
    )
    return found.batch, found.credited


def stepped(
    view: View, batch: Batch, credited: AdvantageBatch, policy: Learner, stream: str, draw: int = 0
) -> nn.Module:
    """The policy of a learner after the recipe's update on a batch, the critic's on a copy.

    Args:
        policy: changed in place.
        stream, draw: as of `updated_policy`, for the mini-batches.
    """
    critic, generator = copy.deepcopy(view.critic), torch_generator(view.seed(f"{stream}/shuffle", draw))
    update(batch, credited, view.recipe, view.settings, policy, critic, generator)
    return policy.module


def paired_terms(log_ratio: Tensor, rewards: Tensor) -> Tensor:
    """[B] (rho - 1)(R - mean R), whose mean estimates the change of J; rho is the sequence ratio.

    Paired on the same responses, so the noise of two evaluations cancels (METHODS.md section 3).

    Args:
        log_ratio: [B] nats, log pi_new / pi_old of whole responses.
        rewards: [B].
    """
    return torch.expm1(log_ratio) * (rewards - rewards.mean())


def paired_change(log_ratio: Tensor, rewards: Tensor) -> tuple[float, float]:
    """Change of J and its standard error from independent responses of the old policy. Args: as `paired_terms`."""
    terms = paired_terms(log_ratio, rewards)
    return float(terms.mean()), float(terms.std() / math.sqrt(len(terms)))


def _improvement(
    view: View, after: nn.Module, problems: Sequence[Problem], responses: Sequence[object], log_ratio: Tensor
) -> dict[str, float]:
    exact = view.world.exact_change(after, problems)
    if exact is not None:
        return {"policy_shift/delta_j": exact}
    grades = verify_all(view.world.task, problems, responses)
    change, error = paired_change(log_ratio.sum(1).cpu(), torch.tensor([g.reward for g in grades]))
    return {"policy_shift/delta_j": change, "policy_shift/delta_j_se": error}


def _by_quarter(kl: Tensor, batch: Batch) -> dict[str, float]:
    """Mean KL per token in each quarter of the response."""
    quarter = 4 * (batch.mask.cumsum(1) - 1) // batch.lengths[:, None]
    found = {}
    for q in range(4):
        inside = kl[batch.mask & (quarter == q)]
        if len(inside):
            found[f"policy_shift/kl_q{q + 1}"] = float(inside.mean())
    return found
