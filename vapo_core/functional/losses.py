"""Losses and reductions. Pure: tensors in, tensors out. Shapes: B responses, T tokens."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

Reduction = Callable[[Tensor, Tensor], Tensor]


def clipped_surrogate(ratio: Tensor, advantages: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Per-token PPO loss, -min(rho A, clip(rho, 1 - low, 1 + high) A) (arXiv:1707.06347, eq. 7).

    Args:
        ratio: [B, T], new over old token probability.
        advantages: [B, T].
        low, high: numbers or [B, T]; the two bounds differ under clip-higher (VAPO, arXiv:2504.05118, section 4.3).

    Returns:
        [B, T] loss, to be reduced by the caller.
    """
    bound = torch.as_tensor(high, dtype=ratio.dtype, device=ratio.device)
    floor = torch.as_tensor(low, dtype=ratio.dtype, device=ratio.device)
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - floor, 1 + bound) * advantages)


def nll(logp: Tensor, mask: Tensor, correct: Tensor, mu: float = 1.0) -> Tensor:
    """mu times the mean of -log pi over the tokens of correct responses; 0 when there is none.

    VAPO, arXiv:2504.05118v3, section 4.3, positive-example LM loss.

    Args:
        logp: [B, T] nats. mask: [B, T] bool. correct: [B] bool. mu: a factor.

    Returns:
        Scalar in nats per token.
    """
    chosen = mask.bool() & correct.bool()[:, None]
    return mu * (-logp.where(chosen, 0.0).sum() / chosen.sum().clamp(min=1))


def value_loss(values: Tensor, old_values: Tensor, targets: Tensor, clip: float = float("inf")) -> Tensor:
    """Per-token value loss, 0.5 max((V - R)^2, (V_clip - R)^2), V_clip within `clip` of the old value. [B, T].

    With `clip` infinite it is 0.5 (V - R)^2 (arXiv:1707.06347; the clipped form as in OpenAI baselines' ppo2).
    """
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - targets).square(), (clipped - targets).square())


def kl_k3(logp: Tensor, logp_ref: Tensor) -> Tensor:
    """Per-token estimate of KL(pi || ref), exp(d) - d - 1 with d = log ref - log pi; non-negative. [B, T], nats.

    Unbiased under samples of pi (Schulman, "Approximating KL divergence", k3).
    """
    difference = logp_ref - logp
    return torch.expm1(difference) - difference


def regularisers(logp: Tensor, logp_ref: Tensor, entropy: Tensor, kl_coef: float, entropy_coef: float) -> Tensor:
    """Penalty per token, kl_coef KL(pi || ref) - entropy_coef H(pi); [B, T] nats, or a single 0 where both weights are 0.

    Most runs have neither, and computing them costs as much as the surrogate does.
    """
    if not kl_coef and not entropy_coef:
        return logp.new_zeros(())
    return kl_coef * kl_k3(logp, logp_ref) - entropy_coef * entropy


def token_mean(loss: Tensor, mask: Tensor) -> Tensor:
    """Every token weighs the same: sum over valid tokens / their number (VAPO, v3, section 4.2, token-level loss)."""
    return loss.where(mask.bool(), 0.0).sum() / mask.sum()


def sequence_mean(loss: Tensor, mask: Tensor) -> Tensor:
    """Every response weighs the same: mean over responses of their token means (VAPO, v3, section 4.2, sample-level loss)."""
    return (loss.where(mask.bool(), 0.0).sum(1) / mask.sum(1)).mean()


def constant_mean(loss: Tensor, mask: Tensor, max_tokens: int) -> Tensor:
    """Sum over valid tokens / (B * max_tokens), a normaliser no response can move (Dr. GRPO, arXiv:2503.20783)."""
    return loss.where(mask.bool(), 0.0).sum() / (len(mask) * max_tokens)


def length_normalised_mean(loss: Tensor, mask: Tensor, power: float) -> Tensor:
    """sum_i w_i (sum of response i's loss over its tokens) / mean length, w_i = l_i^-power / sum_j l_j^-power.

    Delta-L normalisation (arXiv:2509.07558): if the variance of a response's summed gradient grows as its length, power 1 has
    the smallest variance among the unbiased sums; power 0 is token mean. The paper divides by a constant M, which an adaptive
    optimiser does not see; here it is the batch's mean length, so that all powers agree where all lengths do.

    Args:
        loss: [B, T]. mask: [B, T] bool, at least one token a response. power: in [0, 1].
    """
    return (_length_normalised_weights(loss, mask, power) * loss.where(mask.bool(), 0.0)).sum()


def _length_normalised_weights(like: Tensor, mask: Tensor, power: float) -> Tensor:
    lengths = mask.sum(1, keepdim=True).to(like)
    weight = lengths**-power
    return _within(mask, weight / weight.sum() / lengths.mean())


def _token_mean_weights(like: Tensor, mask: Tensor) -> Tensor:
    return _within(mask, like.new_ones(()) / mask.sum())


def _sequence_mean_weights(like: Tensor, mask: Tensor) -> Tensor:
    return _within(mask, like.new_ones(()) / len(mask) / mask.sum(1, keepdim=True))


def _constant_mean_weights(like: Tensor, mask: Tensor, max_tokens: int) -> Tensor:
    return _within(mask, like.new_ones(()) / (len(mask) * max_tokens))


def _nll_weights(like: Tensor, mask: Tensor, correct: Tensor, mu: float = 1.0) -> Tensor:
    chosen = mask.bool() & correct.bool()[:, None]
    return _within(chosen, -(like.new_full((), mu) / chosen.sum().clamp(min=1)))


def _within(mask: Tensor, weight: Tensor) -> Tensor:
    """The weight where the mask is set, 0 elsewhere."""
    return torch.where(mask.bool(), weight, weight.new_zeros(()))


WEIGHTS: Mapping[Callable[..., Tensor], Callable[..., Tensor]] = {
    token_mean: _token_mean_weights,
    sequence_mean: _sequence_mean_weights,
    constant_mean: _constant_mean_weights,
    length_normalised_mean: _length_normalised_weights,
    nll: _nll_weights,
}
"""Weights by formula, to be had without a backward pass: reduction -> (like, what it takes besides the loss) -> [B, T]."""


def linear_weights(reduce: Callable[..., Tensor], like: Tensor, *given: Tensor) -> Tensor:
    """[B, T] weights w with reduce(x, *given) = sum(w * x), for a reduction that is linear in x.

    Found once for a whole mini-batch, they let micro-batches add up to exactly the whole-batch loss: no token's weight
    depends on which micro-batch it falls into.

    Args:
        reduce: a linear map from [B, T] to a scalar; any, though those of `WEIGHTS` (and partials of them) cost less.
        like: [B, T], gives shape, dtype and device.
        given: what `reduce` takes besides, such as the mask.

    Raises:
        ValueError: if `reduce` is not linear (checked at one random point).
    """
    whole = reduce if isinstance(reduce, partial) else partial(reduce)
    if whole.func in WEIGHTS:
        return WEIGHTS[whole.func](like, *whole.args, *given, **whole.keywords)
    return _discovered(lambda x: reduce(x, *given), like)


def _discovered(reduce: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """The weights by autograd."""
    point = torch.zeros_like(like).requires_grad_(True)
    output = reduce(point)
    if not output.requires_grad:  # the zero map, such as a loss that is switched off
        return torch.zeros_like(like)
    (weights,) = torch.autograd.grad(output, point)
    probe = torch.randn(like.shape, generator=torch.Generator().manual_seed(0)).to(like)
    expected = weights * probe
    if (reduce(probe) - expected.sum()).abs() > 1e-4 * expected.abs().sum():
        raise ValueError("the reduction is not linear in the per-token loss, so micro-batches cannot add up to it")
    return weights
