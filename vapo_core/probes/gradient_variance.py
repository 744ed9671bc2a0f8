"""How noisy is the policy gradient, under each reduction, and how well does it point along the true one?

Everything follows from the Gram matrix of per-response gradients G_i = grad of -sum_t A_t log pi_t at ratio 1.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.collect_batch import gather
from vapo_core.components.group_sampling import Plan
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.prompts import PromptStream
from vapo_core.step import assign_credit
from vapo_core.types import Batch, Credited

RESPONSES, ANSWERS = 64, 4
"""Size of the batch measured: at most this many answers per prompt, so that prompts are clusters worth counting."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"gradient_variance/{name}_{reduction}": (unit, f"{meaning}, {reduction} mean")
        for reduction in ("token", "sequence")
        for name, unit, meaning in (
            ("trace", "norm^2", "variance of the gradient per response, trace of the covariance"),
            ("noise_scale", "responses", "trace over |G|^2; absent if |G|^2 is not clear of 0"),
            ("noise_scale_low", "responses", "lower end of its 95 % jackknife interval"),
            ("noise_scale_high", "responses", "upper end of its 95 % jackknife interval"),
            ("cosine", "cosine", "expected gradient with the true grad J, noise taken out, where grad J is known"),
        )
    },
}


def measure(view: View) -> Measurement:
    """Noise scale tr(S) / |G|^2 in responses, by reduction, with a jackknife interval over prompts; cosine to grad J.

    |G|^2 is the unbiased |g_hat|^2 - tr(S)/B (METHODS section 3); a scale whose |G|^2 is not clear of 0 is not
    resolvable and left out. Whitening constants come from another batch, so responses are not coupled by them.
    """
    batch, credited = _credited(view)
    lengths, prompts = batch.lengths.double().numpy(), batch.group.numpy()
    gradients = per_response_gradients(view.world.policy, batch, credited.advantages)
    truth = _true_gradient(view)
    metrics: dict[str, float] = {}
    for name, rows in contributions(gradients, lengths).items():
        metrics |= {f"gradient_variance/{key}_{name}": x for key, x in _statistics(rows, prompts, truth).items()}
    if not metrics:
        raise CannotRun("gradient_variance: every gradient is zero")
    return Measurement(metrics, {"length": lengths, "norm": np.linalg.norm(gradients, axis=1), "prompt": prompts})


def per_response_gradients(policy: nn.Module, batch: Batch, advantages: Tensor) -> np.ndarray:
    """[B, D] gradient of -sum_t A_t log pi_t for every response, by one backward pass each. Reads only."""
    parameters = [p for p in policy.parameters() if p.requires_grad]
    rows = []
    for number in range(len(batch.mask)):
        row = torch.tensor([number])
        logp, _ = policy(batch.take(row))
        loss = -(advantages[row] * logp).sum()
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        flat = [(torch.zeros_like(p) if g is None else g).reshape(-1) for p, g in zip(parameters, found, strict=True)]
        rows.append(torch.cat(flat).double().numpy())
    return np.stack(rows)


def contributions(gradients: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
    """[B, D] by reduction: rows whose mean is the batch gradient, and whose scatter is its noise.

    Sequence mean: G_i / l_i. Token mean, sum G / sum l, by the delta method: mean + (G_i - l_i sum G / sum l) / mean l.
    """
    token = gradients.sum(0) / lengths.sum()
    return {
        "token": token + (gradients - lengths[:, None] * token) / lengths.mean(),
        "sequence": gradients / lengths[:, None],
    }


def noise_statistics(rows: np.ndarray, prompts: np.ndarray) -> tuple[float, float]:
    """(tr S per response, |G|^2), unbiased, with prompts as clusters of equal size.

    The batch gradient is the mean over prompts of their means; its variance is tr Cov(prompt means) / P, and S = B
    times that. |G|^2 = |g_hat|^2 - tr(S) / B.
    """
    names = np.unique(prompts)
    means = np.stack([rows[prompts == name].mean(0) for name in names])
    centre = means.mean(0)
    trace = float(((means - centre) ** 2).sum() / (len(names) - 1))
    square = float(centre @ centre) - trace / len(names)
    return trace * len(rows) / len(names), square


def _statistics(rows: np.ndarray, prompts: np.ndarray, truth: np.ndarray | None) -> dict[str, float]:
    """Noise scale with interval where resolvable, trace, and what points along the true gradient."""
    trace, square = noise_statistics(rows, prompts)
    if trace == 0 and square == 0:
        return {}
    names = np.unique(prompts)
    left_out = np.array([noise_statistics(rows[prompts != name], prompts[prompts != name]) for name in names])
    spread = np.sqrt((len(names) - 1) * left_out.var(axis=0))
    found = {"trace": trace}
    if square > 1.96 * spread[1]:
        ratios = np.log(left_out[:, 0] / left_out[:, 1].clip(min=1e-300))
        half = 1.96 * float(np.sqrt((len(names) - 1) * ratios.var()))
        scale = trace / square
        found |= {
            "noise_scale": scale,
            "noise_scale_low": scale * np.exp(-half),
            "noise_scale_high": scale * np.exp(half),
        }
        if truth is not None:
            found["cosine"] = float(rows.mean(0) @ -truth / np.sqrt(square * (truth @ truth)))
    return found


def _credited(view: View) -> tuple[Batch, Credited]:
    """A fresh batch of the recipe's plan with advantages whitened by the constants of another one."""
    answers = min(ANSWERS, view.recipe.group_sampling.answers)
    plan = Plan(RESPONSES // answers, answers)
    recipe = replace(view.recipe, group_sampling=plan, whiten=lambda x, mask: x)
    stream = PromptStream(view.pool, plan, view.seed(4))
    found = []
    for number in range(2):
        graded = gather(view.world, recipe, view.settings, stream, number * plan.prompts, view.seed(5, number))
        asked = [p for p in graded.problems for _ in range(plan.answers)]
        valued = recipe.values(view.world, graded.batch, asked, view.settings, view.seed(6, number))
        plain = assign_credit(graded.batch, valued.values, recipe)
        found.append((graded.batch, plain))
    (other, there), (batch, here) = found
    raw = there.advantages[other.mask]
    white = view.recipe.whiten(there.advantages, other.mask)[other.mask]
    if float(raw.std()) == 0:
        raise CannotRun("gradient_variance: all advantages are equal")
    scale = white.std() / raw.std()
    shift = white.mean() - scale * raw.mean()
    return batch, replace(here, advantages=(scale * here.advantages + shift).where(batch.mask, 0.0))


def _true_gradient(view: View) -> np.ndarray | None:
    """[D] exact grad J over the training pool, where the world knows it."""
    found = view.world.exact_gradient(view.pool)
    return None if found is None else found.double().numpy()
