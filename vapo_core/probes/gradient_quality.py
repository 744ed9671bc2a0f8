"""Which reduction makes the more useful gradient? Power along grad J over all power, noise included (h3b).

Both reductions are read at the same weights on the same responses. They optimise different objectives, so their noise is
compared through the component along grad J, not through each one's own expected gradient.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.functional.per_response import per_response_gradients
from vapo_core.probes.base import Measurement, View
from vapo_core.probes.directions import (
    REDUCTIONS,
    block_size,
    expected,
    products,
    square,
    squared_product,
    summed_gradient,
    surely_positive,
    true_gradient,
)
from vapo_core.probes.expected_gradients import Groups, by_prompt, clear_of_zero, trace_and_square, within_prompts
from vapo_core.probes.fresh import Fresh, fresh_batch, whitening
from vapo_core.probes.gradient_variance import LARGEST, contributions, responses_for
from vapo_core.types import Batch

CORRELATED = 2**22
"""Numbers in the gradients of single tokens, so many of them at a time."""

TOKENS = 1024
"""Tokens whose gradients' correlation within responses is read, rounded up to whole responses."""

RESPONSES, SMALL = 512, LARGEST // 16
"""Responses whose noise is read, unless all their gradients together have more numbers than `SMALL`: few responses carry most
of it."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"gradient_quality/{name}_{reduction}": (unit, f"{meaning}, {reduction} mean")
        for reduction in REDUCTIONS
        for name, unit, meaning in (
            (
                "trace",
                "norm^2",
                "tr S, variance of the gradient per response at the recipe's answers per prompt; unbiased",
            ),
            ("square", "norm^2", "|E g|^2 of the expected gradient; unbiased, so it can be negative"),
            ("useful", "norm^2", "Q |grad J|^2 at an optimiser step's responses; unbiased numerator"),
            (
                "quality",
                "fraction",
                "Q = (E g . grad J)^2 / (|grad J|^2 E|g|^2); absent if |grad J|^2 is not clear of 0",
            ),
            (
                "cosine",
                "cosine",
                "of the expected gradient with grad J, noise taken out; absent if either is not clear of 0",
            ),
            ("noise_scale", "responses", "tr S over the squared component of the expected gradient along grad J"),
        )
    },
    "gradient_quality/true_square": ("norm^2", "|grad J|^2 over the training problems, noise taken out"),
    "gradient_quality/log_noise_ratio": (
        "nats",
        "log of tr S / |E g|^2 under token mean over that under sequence mean, each with its own expected gradient",
    ),
    "gradient_quality/rho": ("correlation", "of token gradients within a response, about their mean"),
    "gradient_quality/log_variance_predicted": (
        "nats",
        "log of Var_token / Var_sequence that rho and the lengths call for (R6)",
    ),
    "gradient_quality/length_cv": ("ratio", "coefficient of variation of length"),
}


def measure(view: View) -> Measurement:
    """Q of both reductions at B = one optimiser step's responses, and what the lengths and rho let one expect.

    E|g|^2 = |E g|^2 + tr S / B, S at the recipe's answers per prompt. grad J comes from responses of its own; whitening's
    constants from another batch.

    Raises:
        CannotRun: if all advantages are equal.
    """
    policy = view.world.policy
    blocks = expected(view, {"": view.recipe}, "gradient_quality")[""]._asdict()
    truth = true_gradient(view, "gradient_quality/truth")
    white = whitening(view.recipe, fresh_batch(view, view.recipe, block_size(policy), "gradient_quality"))
    fresh = fresh_batch(view, view.recipe, noisy_responses(policy), "gradient_quality/noise")
    noise = traces(policy, fresh, white(fresh), view.recipe.group_sampling.answers)
    batch = view.settings.responses_per_step // view.settings.mini_batches
    squares = {name: square(rows) for name, rows in blocks.items()}
    power = {name: max(squares[name], 0.0) + noise[name] / batch for name in blocks}
    true_square, known = square(truth), len(truth) == 1 or clear_of_zero(products(truth, truth))
    found = {"true_square": true_square, **_of_lengths(policy, fresh.batch, white(fresh))}
    own: dict[str, float] = {}
    for name, rows in blocks.items():
        inner = products(rows, truth)
        component = squared_product(inner)
        found |= {f"trace_{name}": noise[name], f"square_{name}": squares[name]}
        if power[name] > 0:  # tr S is unbiased, so it can come out below 0 where there is next to no noise left
            found[f"useful_{name}"] = component / power[name]
        if known and power[name] > 0:
            found[f"quality_{name}"] = found[f"useful_{name}"] / true_square
        if known and component > 0 and surely_positive(inner):
            found[f"noise_scale_{name}"] = noise[name] * true_square / component
        if clear_of_zero(products(rows, rows)):
            own[name] = noise[name] / squares[name]
            if known:
                found[f"cosine_{name}"] = float(inner.mean()) / math.sqrt(true_square * squares[name])
    if len(own) == len(REDUCTIONS) and min(own.values()) > 0:
        found["log_noise_ratio"] = math.log(own["token"] / own["sequence"])
    return Measurement({f"gradient_quality/{name}": x for name, x in found.items() if not math.isnan(x)})


def noisy_responses(policy: nn.Module) -> int:
    """How many responses' noise is read.

    Raises:
        CannotRun: if the network is too large to hold a gradient for each of a few.
    """
    size = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    return max(responses_for(policy), min(RESPONSES, SMALL // size))


def traces(policy: nn.Module, fresh: Fresh, advantages: Tensor, group: int) -> dict[str, float]:
    """tr S per response by reduction, stated at `group` answers per prompt. advantages: [B, T]."""
    rows = per_response_gradients(policy, fresh.batch, advantages)
    gram = (rows @ rows.mT).double().numpy(force=True)
    mean = by_prompt(fresh.batch.group.numpy(force=True))
    answers = len(rows) // len(mean)
    found = {}
    for name, contribution in contributions(fresh.batch.lengths.double().numpy(force=True)).items():
        inner = mean @ contribution @ gram @ contribution.T @ mean.T
        own = ((contribution @ gram) * contribution).sum(1)
        found[name] = trace_and_square(inner, Groups(answers, within_prompts(own, inner, answers), group))[0]
    return found


def _of_lengths(policy: nn.Module, batch: Batch, advantages: Tensor) -> dict[str, float]:
    lengths = batch.lengths.double().numpy(force=True)
    most = int(np.searchsorted(lengths.cumsum(), TOKENS)) + 1
    rho = token_correlation(policy, batch.take(torch.arange(min(most, len(lengths)))), advantages[:most])
    return {
        "rho": rho,
        "log_variance_predicted": predicted_ratio(rho, lengths),
        "length_cv": float(lengths.std() / lengths.mean()),
    }


def token_correlation(policy: nn.Module, batch: Batch, advantages: Tensor) -> float:
    """rho = E<u_s - m, u_t - m> over pairs of different tokens of a response, over E|u_t - m|^2; u_t = A_t psi_t, m its mean.

    Args:
        policy: batch -> (log-probabilities, entropy).
        batch: B responses.
        advantages: [B, T].
    """
    row, time = batch.mask.nonzero(as_tuple=True)
    size = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    mean = summed_gradient(policy, batch, advantages) / len(row)
    own, wholes = 0.0, torch.zeros(len(batch.mask), size)
    for some in torch.arange(len(row)).split(max(1, CORRELATED // size)):
        weights = torch.zeros(len(some), batch.mask.shape[1]).to(advantages)
        weights[torch.arange(len(some)), time[some]] = advantages[row[some], time[some]]
        centred = per_response_gradients(policy, batch.take(row[some]), weights) - mean
        own += float(centred.square().sum())
        wholes.index_add_(0, row[some].cpu(), centred.cpu())
    lengths = batch.lengths.double()
    pairs = float((lengths * (lengths - 1)).sum())
    return (float(wholes.square().sum()) - own) / pairs / (own / len(row)) if pairs and own else 0.0


def predicted_ratio(rho: float, lengths: np.ndarray) -> float:
    """R6: log of [(1 - rho) / E l + rho (1 + CV^2)] / [(1 - rho) E(1/l) + rho]; 0 where all lengths agree, nan below 0."""
    mean, spread = lengths.mean(), 1 + lengths.var() / lengths.mean() ** 2
    token = (1 - rho) / mean + rho * spread
    sequence = (1 - rho) * float((1 / lengths).mean()) + rho
    return math.log(token / sequence) if token > 0 and sequence > 0 else float("nan")
