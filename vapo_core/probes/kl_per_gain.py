"""What does a gain of J cost in KL along either reduction's direction, at the same weights? (h3c)

kappa(d) = d'Fd / (2 (grad J . d)^2): to second order KL(old || new) of whole responses is eps^2 d'Fd / 2 and to first order J
rises by eps grad J . d, so kappa is KL per squared gain, whatever the length of d. It is least, 1 / (2 grad J' F^-1 grad J),
along the natural gradient.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.functional.curvature import Surrogate
from vapo_core.probes.base import Measurement, View
from vapo_core.probes.directions import (
    REDUCTIONS,
    expected,
    products,
    squared_product,
    surely_positive,
    true_gradient,
)
from vapo_core.probes.expected_gradients import product
from vapo_core.training.mismatch import recompute_logprobs
from vapo_core.types import Batch
from vapo_core.worlds.base import World

RESPONSES, MERGED = 256, 4096
"""Responses on which the Fisher information is read, a token at a time; where the world merges tokens that are alike."""

CHUNK = 2048
"""Tokens at once, padding included: second derivatives keep their graph."""

GAIN = 0.01
"""Rise of J that both directions are made to bring, where J is exact."""

FIRST_STEP, PRECISION = 1e-3, 2.0**-10
"""Norm of the first step tried, and how exactly the step is found, as a share of it."""

CREDITS = {"": "the recipe's credit", "_mc": "lambda = 1 for every response"}

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"kl_per_gain/{name}_{reduction}{credit}": (unit, f"{meaning}, {reduction} mean, {whose}")
        for reduction in REDUCTIONS
        for credit, whose in CREDITS.items()
        for name, unit, meaning in (
            (
                "kappa",
                "nats/reward^2",
                "KL per squared first-order gain of J; absent unless the direction ascends beyond doubt",
            ),
            ("ascends", "share", "1 if the expected gradient surely has a positive product with grad J, else 0"),
            (
                "equal",
                "nats/response",
                f"KL of the step along it that raises the exact J by {GAIN:g}; absent if none does",
            ),
        )
    },
    **{
        f"kl_per_gain/log_ratio{credit}": (
            "nats",
            f"log of kappa under sequence mean over that under token mean, {whose}",
        )
        for credit, whose in CREDITS.items()
    },
}


def measure(view: View) -> Measurement:
    """kappa of both reductions' expected gradients, with the recipe's credit and with lambda = 1, and KL at an equal gain.

    Products are of disjoint blocks of responses, so that noise of a direction counts neither in d'Fd nor in the gain.
    """
    truth = true_gradient(view, "kl_per_gain/truth")
    problems = [view.pool[i % len(view.pool)] for i in range(MERGED if view.world.repeats else RESPONSES)]
    rollout = view.world.engine.generate(problems, 1, view.seed("kl_per_gain/responses"))
    batch, _ = recompute_logprobs(Batch.ungraded(rollout), view.world.engine, view.policy)
    tokens = Tokens.of(batch, view.world)
    mc = replace(view.recipe, length_adaptive_gae=lambda lengths: torch.ones(len(lengths), device=lengths.device))
    found = expected(view, {"": view.recipe, "_mc": mc}, "kl_per_gain")
    named = {f"{r}{credit}": rows for credit, both in found.items() for r, rows in both._asdict().items()}
    metrics = compare(view, named, truth, tokens)
    for credit in CREDITS:
        token, sequence = (f"kappa_{r}{credit}" for r in REDUCTIONS)
        if {token, sequence} <= set(metrics):
            metrics[f"log_ratio{credit}"] = float(np.log(metrics[sequence] / metrics[token]))
    return Measurement({f"kl_per_gain/{name}": x for name, x in metrics.items()})


class Tokens(NamedTuple):
    """Responses of the present policy as their tokens, those alike merged."""

    batch: Batch
    share: Tensor
    """In the shape of the mask: how many tokens of a response, on average, this one stands for; 0 where masked."""

    @classmethod
    def of(cls, batch: Batch, world: World) -> Self:
        """Tokens of B responses, each 1/B of one."""
        merged, found = world.merged(batch, {"share": batch.mask.to(batch.logp_old) / len(batch.mask)})
        with torch.no_grad():
            return cls(replace(merged, logp_old=world.policy(merged)[0]), found["share"])


def compare(view: View, blocks: Mapping[str, Tensor], truth: Tensor, tokens: Tokens) -> dict[str, float]:
    """kappa, ascent and KL at an equal gain of directions.

    Args:
        view: the run.
        blocks: name -> [K, D] estimates of one direction from disjoint responses, K the same for all.
        truth: as of `true_gradient`.
        tokens: to read F on.
    """
    inner = {name: products(rows, truth) for name, rows in blocks.items()}
    found = {f"ascends_{name}": float(surely_positive(x)) for name, x in inner.items()}
    upward = {name: rows / rows.mean(0).norm() for name, rows in blocks.items() if found[f"ascends_{name}"]}
    change = view.world.exact_changes(view.pool) if upward else None
    spent = dict(zip(upward, fisher(view.world.policy, tokens, list(upward.values())), strict=True))
    for name, rows in upward.items():
        cost, gained = product(spent[name]), squared_product(products(rows, truth))
        if cost > 0 and gained > 0:
            found[f"kappa_{name}"] = cost / (2 * gained)
        equal = None if change is None else at_equal_gain(view.world.policy, change, rows.mean(0), tokens)
        if equal is not None:
            found[f"equal_{name}"] = equal
    return found


def fisher(policy: nn.Module, tokens: Tokens, blocks: Sequence[Tensor]) -> list[np.ndarray]:
    """[K, K] d_a' F d_b within each of the blocks [K, D]; F = E sum_t psi_t psi_t' of a response of the present policy.

    Scores are martingale differences, so this is E (sum_t psi_t)(sum_t psi_t)' with far less noise.
    """
    found = [np.zeros((len(rows), len(rows))) for rows in blocks]
    rows_at_once = max(1, CHUNK // tokens.batch.mask.shape[1])
    for some in torch.arange(len(tokens.share)).split(rows_at_once) if blocks else ():
        surrogate, share = Surrogate(policy, tokens.batch.take(some)), tokens.share[some].flatten()
        for sums, rows in zip(found, blocks, strict=True):
            along = torch.stack([surrogate.along(d).flatten() for d in rows])
            sums += products(share * along, along)
    return found


def at_equal_gain(
    policy: nn.Module, change: Callable[[nn.Module], float], direction: Tensor, tokens: Tokens
) -> float | None:
    """KL(old || new) per response of the step along a direction that raises the exact J by `GAIN`; None if none does.

    Args:
        policy: the present one.
        change: of `exact_changes`.
        direction: [D].
        tokens: of responses of the present policy.
    """
    here = nn.utils.parameters_to_vector(policy.parameters()).detach()
    moved, unit = copy.deepcopy(policy), direction / direction.norm()

    def gain(step: float) -> float:
        nn.utils.vector_to_parameters(here + step * unit, moved.parameters())
        return change(moved)

    step = reaching(gain, GAIN)
    if step is None:
        return None
    gain(step)
    with torch.no_grad():
        log_ratio = (moved(tokens.batch)[0] - tokens.batch.logp_old).where(tokens.batch.mask, 0.0)
    return float((tokens.share * (torch.expm1(log_ratio) - log_ratio)).sum())


def reaching(gain: Callable[[float], float], wanted: float) -> float | None:
    """The step at which a gain that rises from 0 first is `wanted`, by doubling, then by Brent's method.

    Each gain takes a backward induction over the walk, and a smooth one is met in a third of what bisection needs. None
    where the gain falls before it gets there.
    """
    from scipy.optimize import brentq

    tried = {0.0: 0.0}
    low, high = 0.0, FIRST_STEP
    while (found := gain(high)) < wanted:
        if found < tried[low]:
            return None
        tried[high] = found
        low, high = high, 2 * high
    tried[high] = found

    def lacking(step: float) -> float:
        return (tried[step] if step in tried else gain(step)) - wanted

    return float(brentq(lacking, low, high, xtol=PRECISION * FIRST_STEP, rtol=PRECISION))
