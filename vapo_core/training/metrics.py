"""Every logged number: name, unit, meaning; and how those of one update are computed, always over valid tokens only.

Each probe names its own in its file; `probes.METRICS` has them all.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vapo_core.training.update import Trace
from vapo_core.types import AdvantageBatch, Batch

METRICS: dict[str, tuple[str, str]] = {
    "reward/mean": ("reward", "mean terminal reward of the step's responses, shaping included"),
    "reward/accuracy": ("share", "responses with verifier reward 1"),
    "reward/reasoned": ("share", "correct responses that neither guess nor skip steps"),
    "reward/parsed": ("share", "responses the verifier could read"),
    "actor/entropy": ("nats/token", "mean entropy of the policy's distribution on sampled tokens, before the update"),
    "actor/ppo_kl": ("nats/token", "KL(old || new) on sampled tokens by k3, over the update"),
    "actor/pg_loss": ("loss", "policy loss with its extra terms, mean over optimiser steps"),
    "actor/pg_clipfrac": ("share", "tokens whose gradient the upper bound removes (A > 0, ratio above 1 + high)"),
    "actor/pg_clipfrac_lower": ("share", "tokens whose gradient the lower bound removes (A < 0, ratio below 1 - low)"),
    "actor/ratio_max": ("ratio", "largest new over old token probability during the update"),
    "actor/ratio_min": ("ratio", "smallest new over old token probability during the update"),
    "actor/grad_norm": ("norm", "policy gradient norm before clipping, mean over optimiser steps"),
    "actor/lr": ("rate", "learning rate of the policy"),
    "actor/reference_kl": ("nats/token", "KL(policy || reference) on sampled tokens by k3; 0 without a reference"),
    "critic/vf_loss": ("reward^2", "value loss, mean over optimiser steps"),
    "critic/vf_explained_var": (
        "share",
        "1 - Var(return - V) / Var(return) over tokens; absent if returns are constant",
    ),
    "critic/grad_norm": ("norm", "critic gradient norm before clipping, mean over optimiser steps"),
    "critic/lr": ("rate", "learning rate of the critic"),
    **{f"critic/vf_loss_q{q}": ("reward^2", f"0.5 (V - return)^2, quarter {q} of the response") for q in range(1, 5)},
    **{f"critic/bias_q{q}": ("reward", f"mean of V - return, quarter {q} of the response") for q in range(1, 5)},
    "response_length/mean": ("tokens", "mean response length, stop token included"),
    "response_length/std": ("tokens", "standard deviation of response length"),
    "response_length/min": ("tokens", "shortest response"),
    "response_length/max": ("tokens", "longest response"),
    "response_length/clip_ratio": ("share", "responses cut off by the length limit"),
    "tokens/generated": (
        "tokens",
        "tokens sampled since the run began, value pretraining and discarded groups included",
    ),
    "rollout/mismatch_mean": (
        "nats/token",
        "mean |log pi_policy - log pi_engine| of sampled tokens; this and the next four where the engine is not exact",
    ),
    "rollout/mismatch_max": ("nats", "largest such difference"),
    "rollout/ess": ("share", "effective sample size of the tokens' weights pi_policy / pi_engine, over their number"),
    "rollout/ess_sequence": ("share", "the same of whole responses' weights"),
    "rollout/capped": ("share", "tokens whose weight is above importance_cap"),
    "timing/rollout_s": ("s", "generating and verifying"),
    "timing/credit_s": ("s", "values, advantages and targets"),
    "timing/update_s": ("s", "optimiser steps"),
    "timing/evaluation_s": ("s", "evaluation"),
    "timing/probes_s": ("s", "probes"),
    "activity/clip_higher": ("share", "tokens with A > 0 and ratio between the symmetric and the wider bound"),
    "activity/length_adaptive_gae": ("lambda", "mean distance of lambda_policy from fixed_lambda"),
    "activity/length_adaptive_spread": ("lambda", "standard deviation of lambda_policy over responses"),
    "activity/decoupled_gae": ("lambda", "mean distance between lambda of targets and of advantages"),
    "activity/token_level_loss": ("ratio", "coefficient of variation of response length"),
    "activity/positive_lm_loss": ("share", "tokens that belong to correct answers"),
    "activity/positive_lm_grad_ratio": (
        "ratio",
        "gradient norm of the positive-example loss over that of the surrogate",
    ),
    "activity/group_sampling": ("prompts", "distinct prompts in the step"),
    "activity/group_reward_spread": ("reward", "mean within-prompt standard deviation of rewards"),
    "activity/value_pretraining": ("reward^2", "critic's mean squared error to returns at the first step"),
    "val/pass_at_1": ("share", "held-out problems solved by one sampled answer"),
    "val/pass_at_K": ("share", "held-out problems solved by one of K answers, unbiased from 2K answers"),
    "val/distinct_correct": ("count", "distinct modes among a problem's correct answers, of 2K answers"),
    "val/parsed": ("share", "answers the verifier could read"),
    "val/exact_j": (
        "reward",
        "exact expected reward over held-out problems, where it can be computed: all, or in a large walk a fixed part",
    ),
}


def pass_at_k(n: int, correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k), the unbiased estimate of pass@k from n answers (arXiv:2107.03374, eq. 1).

    Raises:
        ValueError: if n < 2k (too noisy by METHODS.md section 3) or c > n.
    """
    if n < 2 * k or correct > n:
        raise ValueError(f"pass_at_k needs n >= 2k and c <= n, got n={n}, c={correct}, k={k}")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def update_metrics(trace: Trace, tokens: Mapping[str, Tensor]) -> dict[str, float]:
    """Ratios, clipping and gradients of one update, over every token it visited (`Trace.tokens`)."""
    ratio, advantages, low, high = (tokens[name] for name in ("ratio", "advantages", "low", "high"))
    up, down = advantages > 0, advantages < 0
    return {
        # k3 of KL(old || new) under samples of old: d = log new - log old, E[exp(d) - 1 - d]
        "actor/ppo_kl": _mean(ratio - 1 - ratio.log()),
        "actor/pg_loss": _average(trace.policy_loss),
        "actor/pg_clipfrac": _mean(up & (ratio > 1 + high)),
        "actor/pg_clipfrac_lower": _mean(down & (ratio < 1 - low)),
        "actor/ratio_max": float(ratio.max()),
        "actor/ratio_min": float(ratio.min()),
        "actor/grad_norm": _average(trace.policy_grad_norm),
        "critic/vf_loss": _average(trace.value_loss),
        "critic/grad_norm": _average(trace.critic_grad_norm),
    }


def value_metrics(batch: Batch, values: Tensor, returns: Tensor) -> dict[str, float]:
    """How the values before the update compare with the returns that followed, overall and by quarter."""
    error = (values - returns)[batch.mask]
    variance = returns[batch.mask].var(correction=0)
    named = {} if variance == 0 else {"critic/vf_explained_var": float(1 - error.var(correction=0) / variance)}
    place = batch.mask.cumsum(1) - 1
    quarter = (4 * place // batch.lengths[:, None])[batch.mask]
    for q in range(4):
        inside = error[quarter == q]
        if len(inside):
            named[f"critic/bias_q{q + 1}"] = _mean(inside)
            named[f"critic/vf_loss_q{q + 1}"] = 0.5 * _mean(inside.square())
    return named


def length_metrics(lengths: Tensor, truncated: Tensor) -> dict[str, float]:
    """Response lengths in tokens."""
    length = lengths.float()
    return {
        "response_length/mean": float(length.mean()),
        "response_length/std": float(length.std(correction=0)),
        "response_length/min": float(length.min()),
        "response_length/max": float(length.max()),
        "response_length/clip_ratio": _mean(truncated),
    }


def masked_mean(x: Tensor, batch: Batch) -> float:
    """Mean over valid tokens."""
    return _mean(x[batch.mask])


def credit_activity(batch: Batch, credited: AdvantageBatch, fixed_lambda: float) -> dict[str, float]:
    """How much there is for the lambda rules and the reduction to act on."""
    length, spread = batch.lengths.float(), credited.lam_policy.std(correction=0)
    return {
        "activity/length_adaptive_gae": _mean((credited.lam_policy - fixed_lambda).abs()),
        "activity/length_adaptive_spread": float(spread),
        "activity/decoupled_gae": _mean((credited.lam_value - credited.lam_policy).abs()),
        "activity/token_level_loss": float(length.std(correction=0) / length.mean()),
        "activity/positive_lm_loss": _mean(batch.correct[:, None].expand_as(batch.mask)[batch.mask]),
    }


def clip_activity(tokens: Mapping[str, Tensor], clip_low: float, clip_high: float) -> dict[str, float]:
    """Share of tokens on which the two clips differ: A > 0 and ratio in (1 + clip_low, 1 + clip_high]."""
    ratio, advantages = tokens["ratio"], tokens["advantages"]
    between = (advantages > 0) & (ratio > 1 + clip_low) & (ratio <= 1 + clip_high)
    return {"activity/clip_higher": _mean(between)}


def group_activity(rewards: Tensor, group: Tensor, prompts: Sequence[str]) -> dict[str, float]:
    """Distinct prompts, and what answers to one prompt have to say about each other."""
    counts = torch.bincount(group).float()
    mean = torch.zeros_like(counts).index_add(0, group, rewards) / counts
    variance = torch.zeros_like(counts).index_add(0, group, (rewards - mean[group]).square()) / counts
    return {
        "activity/group_sampling": float(len(set(prompts))),
        "activity/group_reward_spread": _mean(variance.sqrt()),
    }


def _mean(x: Tensor) -> float:
    return float(x.float().mean())


def _average(x: Sequence[float]) -> float:
    return sum(x) / len(x)
