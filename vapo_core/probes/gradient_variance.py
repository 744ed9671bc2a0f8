"""How noisy is the policy gradient, under each reduction, and which directions do its parts share?

Everything is read off inner products of per-response gradients G_i = grad of -sum_t A_t log pi_t at ratio 1.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.functional.per_response import (
    Layer,
    add_up,
    layer_gradients,
    loop_gradients,
    per_response_gradients,
)
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.expected_gradients import (
    Groups,
    by_prompt,
    clear_of_zero,
    cosine,
    noise_scale,
    product,
    trace_and_square,
    within_prompts,
)
from vapo_core.probes.fresh import fresh_batch, whitening
from vapo_core.types import Batch

FEWEST, MOST = 64, 256
"""Responses in the batch measured: as many as keep it quick."""

QUICK, LARGEST = 2**23, 2**30
"""Numbers in all per-response gradients together that are quick to find, and that can be held at all."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"gradient_variance/{name}_{reduction}": (unit, f"{meaning}, {reduction} mean")
        for reduction in ("token", "sequence")
        for name, unit, meaning in (
            (
                "trace",
                "norm^2",
                "variance of the gradient per response at the recipe's answers per prompt, trace of the covariance",
            ),
            ("square", "norm^2", "squared norm of the expected gradient, noise taken out; may be negative by chance"),
            ("noise_scale", "responses", "trace over |G|^2; absent if |G|^2 is not clear of 0"),
            ("noise_scale_low", "responses", "lower end of its 95 % interval"),
            ("noise_scale_high", "responses", "upper end of its 95 % interval"),
            ("cosine", "cosine", "expected gradient with the true grad J, noise taken out, where grad J is known"),
        )
    },
    "gradient_variance/cosine_reductions": (
        "cosine",
        "expected gradient under token mean with that under sequence mean, noise taken out",
    ),
    "gradient_variance/cosine_positive_lm": (
        "cosine",
        "expected gradient of the surrogate with that of the positive-example loss, token mean, noise taken out",
    ),
    "gradient_variance/trace_sum": ("norm^2", "variance of a response's gradient, summed over its tokens"),
    "gradient_variance/proxy": (
        "logit^2",
        "verl's forward-only stand-in for it: mean over responses of sum_t A^2 (1 - 2 pi_t + sum_v pi_v^2)",
    ),
    "gradient_variance/proxy_correlation": (
        "correlation",
        "over responses, of that sum with the squared distance of a response's gradient from the mean",
    ),
    "gradient_variance/proxy_rank_correlation": ("correlation", "the same by rank (Spearman)"),
}


def measure(view: View) -> Measurement:
    """Noise scale by reduction with interval, cosines between expected gradients, and verl's proxy beside the truth.

    Whitening constants come from another batch, so responses are not coupled by them (METHODS.md section 3). A ratio whose
    denominator is not clear of 0 is not resolvable and left out.

    Raises:
        CannotRun: if all advantages are equal or every gradient is zero.
    """
    policy = view.world.policy
    other, fresh = (
        fresh_batch(view, view.recipe, responses_for(policy), "gradient_variance", number) for number in range(2)
    )
    batch = fresh.batch
    weights = -whitening(view.recipe, other)(fresh)
    layers = layer_gradients(policy, batch, weights)
    rows = loop_gradients(policy, batch, weights) if layers is None else add_up(policy, layers)
    gram = _inner_products(policy, batch, rows)
    if not gram.surrogate.any():
        raise CannotRun("gradient_variance: every gradient is zero")
    lengths, prompts = _numpy(batch.lengths), _numpy(batch.group)
    truth = view.world.exact_gradient(view.pool)
    along = None if truth is None or not truth.any() else _numpy(rows @ (-truth / truth.norm()))
    found = _by_reduction(gram, along, lengths, prompts, view.recipe.group_sampling.answers)
    metrics = {name: x for name, x in found.items() if x is not None}
    distance = distances(gram.surrogate)
    metrics["trace_sum"] = float(distance.sum() / (len(distance) - 1))
    arrays = {"length": lengths, "prompt": prompts, "norm": np.sqrt(gram.surrogate.diagonal()), "distance": distance}
    if layers is not None:
        arrays["proxy"] = verl_proxy(layers, view.settings.temperature)
        metrics |= _beside(arrays["proxy"], distance)
    return Measurement({f"gradient_variance/{name}": x for name, x in metrics.items()}, arrays)


class Gram(NamedTuple):
    """[B, B] inner products of per-response gradients of the surrogate (G) and of the positive-example loss (N)."""

    surrogate: np.ndarray
    """<G_i, G_j>."""
    mixed: np.ndarray
    """<G_i, N_j>."""
    imitation: np.ndarray
    """<N_i, N_j>; N_i = grad of -sum_t log pi_t of a correct response, 0 for others."""


def responses_for(policy: nn.Module) -> int:
    """How many responses to measure.

    Raises:
        CannotRun: if the network is too large to hold a gradient for each of them.
    """
    size = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    if FEWEST * size > LARGEST:
        raise CannotRun(f"gradient_variance: {size} parameters are too many for a gradient per response")
    return max(FEWEST, min(MOST, QUICK // size))


def contributions(lengths: np.ndarray) -> dict[str, np.ndarray]:
    """[B, B] matrix by reduction: applied to G it gives rows whose mean is the batch gradient and whose scatter its noise.

    Sequence mean: G_i / l_i. Token mean, sum G / sum l, by the delta method: g + (G_i - l_i g) / mean l, g = sum G / sum l.
    """
    size, mean = len(lengths), lengths.mean()
    token = np.full((size, size), 1 / lengths.sum())
    return {"token": token + (np.eye(size) - lengths[:, None] * token) / mean, "sequence": np.diag(1 / lengths)}


def _inner_products(policy: nn.Module, batch: Batch, rows: Tensor) -> Gram:
    """[B, D] gradients of the surrogate, with those of the positive-example loss found here, to their inner products."""
    right = batch.correct.cpu().nonzero().squeeze(1)
    mixed, imitation = torch.zeros(2, len(rows), len(rows))
    if len(right):
        part = batch.take(right)
        found = per_response_gradients(policy, part, -torch.ones_like(part.logp_old))
        mixed[:, right] = (rows @ found.mT).cpu()
        imitation[right[:, None], right] = (found @ found.mT).cpu()
    return Gram(_numpy(rows @ rows.mT), _numpy(mixed), _numpy(imitation))


def distances(gram: np.ndarray) -> np.ndarray:
    """[B] squared distance of every row from the mean row, from their inner products."""
    return gram.diagonal() - 2 * gram.mean(1) + gram.mean()


def verl_proxy(layers: list[Layer], temperature: float) -> np.ndarray:
    """[B] sum_t w_t^2 (1 - 2 pi_t + sum_v pi_v^2), verl's forward-only stand-in for a response's gradient variance.

    The bracket is |e_a - pi|^2, the squared gradient of log pi_t by the logits, and that is what came back to the last
    layer called, but for the temperature its output is divided by.
    """
    return _numpy((temperature * layers[-1].gradient).square().sum((1, 2)))


def _noise(inner: np.ndarray, groups: Groups, name: str) -> dict[str, float]:
    """Trace and square, and noise scale with interval where resolvable."""
    trace, square = trace_and_square(inner, groups)
    found = {f"trace_{name}": trace, f"square_{name}": square}
    noise = noise_scale(inner, groups)
    if noise:
        found |= {
            f"noise_scale_{name}": noise.scale,
            f"noise_scale_low_{name}": noise.low,
            f"noise_scale_high_{name}": noise.high,
        }
    return found


def _by_reduction(
    gram: Gram, along: np.ndarray | None, lengths: np.ndarray, prompts: np.ndarray, group: int
) -> dict[str, float | None]:
    """Noise of every reduction, and cosines between expected gradients; None where not resolvable.

    Args: along, [B] G_i along the true gradient's direction of descent; group, the recipe's answers per prompt.
    """
    mean, parts = by_prompt(prompts), contributions(lengths)
    answers = len(prompts) // len(mean)
    rows = {name: mean @ x for name, x in parts.items()}
    inner = {name: x @ gram.surrogate @ x.T for name, x in rows.items()}
    found: dict[str, float | None] = {}
    for name, x in inner.items():
        own = ((parts[name] @ gram.surrogate) * parts[name]).sum(1)
        found |= _noise(x, Groups(answers, within_prompts(own, x, answers), group), name)
        if along is not None and clear_of_zero(x):
            found[f"cosine_{name}"] = float((rows[name] @ along).mean() / np.sqrt(product(x)))
    token, sequence = rows["token"], rows["sequence"]
    found["cosine_reductions"] = cosine(inner["token"], inner["sequence"], token @ gram.surrogate @ sequence.T)
    imitation, mixed = mean @ gram.imitation @ mean.T, token @ gram.mixed @ mean.T
    found["cosine_positive_lm"] = cosine(inner["token"], imitation, mixed)
    return found


def _beside(proxy: np.ndarray, distance: np.ndarray) -> dict[str, float]:
    """The proxy's mean, and how well it follows the truth over responses."""
    from scipy.stats import spearmanr  # a second to import

    found = {"proxy": float(proxy.mean())}
    if proxy.std() > 0 and distance.std() > 0:
        found["proxy_correlation"] = float(np.corrcoef(proxy, distance)[0, 1])
        found["proxy_rank_correlation"] = float(spearmanr(proxy, distance).statistic)
    return found


def _numpy(x: Tensor) -> np.ndarray:
    """In double precision, on the host."""
    return x.double().numpy(force=True)
