"""How curved is the policy surrogate beside its slope, and does the reduction change that? (h3a)

At the same weights and the same batch, kappa = lambda_max(H) |step| / |g|: the largest second-order effect of a step as
long as the recipe's own update, over its first-order effect.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.functional.curvature import Product, Surrogate, top_eigenvector
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.directions import REDUCTIONS, Blocks, block_size, expected, products, reduced, square
from vapo_core.probes.expected_gradients import clear_of_zero
from vapo_core.probes.fresh import Whitening, fresh_batch, whitening
from vapo_core.probes.policy_shift import updated_policy
from vapo_core.seeds import torch_generator
from vapo_core.types import Batch
from vapo_core.worlds.base import World

FEWEST, MOST, QUICK = 48, 512, 2**22
"""Responses in each half: `QUICK` over the number of weights, within these bounds. Every product passes over them."""

MERGED = 8192
"""Responses in each half where the world merges tokens that are alike, so that a product passes over far fewer of them.

A direction from few responses is mostly noise, more so under one reduction than under the other, which biases the ratio.
On the walk at J = 0.9 the log ratio was 0.28, 0.36, 0.08, 0.02, 0.02 at 128, 512, 2,048, 8,192 and 32,768 responses.
"""

STEPS = 8
"""Lanczos steps; the top of these spectra stands out, so that these give it to three digits."""

SLICE = np.linspace(-1, 2, 13)
"""Multiples of the update at which the loss is read."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"curvature/{name}_{reduction}": (unit, f"{meaning}, {reduction} mean")
        for reduction in REDUCTIONS
        for name, unit, meaning in (
            ("top", "loss/norm^2", "curvature of the surrogate in another half-batch's top direction"),
            ("top_gauss_newton", "loss/norm^2", "the same for the Gauss-Newton part, -sum w A psi psi'"),
            ("kappa", "ratio", "top times the norm of the recipe's update, over the norm of the expected gradient"),
        )
    },
    "curvature/log_ratio": ("nats", "log of kappa under token mean over kappa under sequence mean"),
    "curvature/log_ratio_gauss_newton": ("nats", "the same with the Gauss-Newton part"),
    "curvature/length_covariance": (
        "ratio",
        "Cov(length, a response's curvature) / mean length, over the curvature, in sequence mean's top direction",
    ),
    "curvature/length_covariance_apart": (
        "ratio",
        "the same on responses of their own, mean over both reductions' top directions, each over its own curvature there",
    ),
    "curvature/update_norm": ("norm", "length of the recipe's update in the policy's weights"),
}


def measure(view: View) -> Measurement:
    """Top curvature by reduction over the slope, their log ratio, and slices of the loss along the recipe's update.

    Directions come from one half of the prompts and curvatures from the other, both ways, since the largest eigenvalue
    of a finite batch is biased upward. Slopes |g| have their noise taken out; what is divided by one that is not clear
    of 0 is left out. Whitening constants are a third batch's.

    Raises:
        CannotRun: if all advantages are equal or the update does not move the policy.
    """
    policy = view.world.policy
    update = _flat(updated_policy(view, "curvature/update")) - _flat(policy)
    length = float(update.norm())
    if length == 0:
        raise CannotRun("curvature: the update does not move the policy")
    white = whitening(view.recipe, fresh_batch(view, view.recipe, block_size(policy), "curvature"))
    *parts, apart = [drawn(view, white, number) for number in (1, 2, 3)]
    slope = slopes(gradients(view, [*parts, apart]))
    start = torch.randn(len(update), generator=torch_generator(view.seed("curvature/start"))).to(update)
    metrics = {"update_norm": length, **top_curvatures(policy, parts, apart, start)}
    metrics |= {f"kappa_{name}": metrics[f"top_{name}"] * length / slope[name] for name in slope}
    for part in ("", "_gauss_newton"):
        steepness = [metrics[f"top{part}_{name}"] / slope[name] for name in REDUCTIONS if name in slope]
        if len(steepness) == len(REDUCTIONS) and min(steepness) > 0:
            metrics[f"log_ratio{part}"] = math.log(steepness[0] / steepness[1])
    arrays = {"multiple": SLICE, **slices(policy, update, parts[1])}
    return Measurement({f"curvature/{name}": x for name, x in metrics.items()}, arrays)


class Part(NamedTuple):
    """One part of the responses, as they are or with tokens merged that are alike."""

    batch: Batch
    weights: Mapping[str, Tensor]
    """Reduction -> advantage times weight in the reduction, in the shape of the mask."""

    @classmethod
    def of(cls, batch: Batch, advantages: Tensor) -> Self:
        """Responses with advantages [B, T] as the loss takes them."""
        return cls(batch, {name: reduced(name, advantages, batch.mask) for name in REDUCTIONS})

    def merged(self, world: World) -> Self:
        """With tokens merged where the world can."""
        return type(self)(*world.merged(self.batch, self.weights))


def drawn(view: View, white: Whitening, number: int) -> Part:
    """Fresh responses, `MERGED` of them if the world merges tokens. number: which batch of the probe's stream."""
    weights = sum(p.numel() for p in view.world.policy.parameters() if p.requires_grad)
    size = MERGED if view.world.repeats else max(FEWEST, min(MOST, QUICK // weights))
    fresh = fresh_batch(view, view.recipe, size, "curvature", number)
    return Part.of(fresh.batch, white(fresh)).merged(view.world)


def gradients(view: View, parts: Sequence[Part]) -> Blocks:
    """Gradients in the direction of ascent: of parts that have responses enough, being merged, else of blocks of their own."""
    if not view.world.repeats:
        return expected(view, {"": view.recipe}, "curvature/slope")[""]
    surrogates = [Surrogate(view.world.policy, part.batch) for part in parts]
    return Blocks(
        **{
            name: torch.stack([-s.gradient(part.weights[name]) for s, part in zip(surrogates, parts, strict=True)])
            for name in REDUCTIONS
        }
    )


def top_curvatures(policy: nn.Module, parts: Sequence[Part], apart: Part, start: Tensor) -> dict[str, float]:
    """Largest curvature by reduction, of the whole Hessian and of its Gauss-Newton part, and its tie with length.

    Each is v' H v with v the top eigenvector of the other part, mean over both ways. H_token - H_sequence = Cov_i(l_i, H_i) /
    mean length (R5), H_i the curvature of response i's token mean; `apart` is a third part, on which that covariance is read
    along the top directions of both reductions, as a share of the reduction's own curvature there.
    """
    surrogates = [Surrogate(policy, part.batch) for part in parts]
    third = Surrogate(policy, apart.batch)
    found: dict[str, float] = {}
    vectors: dict[str, list[Tensor]] = {}
    hessian: dict[str, list[Product]] = {}
    for reduction in REDUCTIONS:
        weighted = [(s, part.weights[reduction]) for s, part in zip(surrogates, parts, strict=True)]
        gauss_newton = [s.gauss_newton(w) for s, w in weighted]
        found[f"top_gauss_newton_{reduction}"] = _across(gauss_newton, _tops(gauss_newton, start))
        hessian[reduction] = [s.hessian(w) for s, w in weighted]
        vectors[reduction] = _tops(hessian[reduction], start)
        found[f"top_{reduction}"] = _across(hessian[reduction], vectors[reduction])
    found["length_covariance"] = _across(hessian["token"], vectors["sequence"]) / found["top_sequence"] - 1
    read = {name: third.hessian(apart.weights[name]) for name in REDUCTIONS}
    shares = []
    for name, tops in vectors.items():
        own, token, sequence = (sum(float(v @ read[r](v)) for v in tops) for r in (name, "token", "sequence"))
        shares.append((token - sequence) / abs(own) if own else 0.0)
    found["length_covariance_apart"] = float(np.mean(shares))
    return found


def slopes(blocks: Blocks) -> dict[str, float]:
    """Norm of the expected gradient by reduction, noise taken out; absent if not clear of 0."""
    return {name: math.sqrt(square(x)) for name, x in blocks._asdict().items() if clear_of_zero(products(x, x))}


def slices(policy: nn.Module, update: Tensor, part: Part) -> dict[str, np.ndarray]:
    """Change of the unclipped surrogate loss at every multiple of the update in `SLICE`, by reduction."""
    moved, here = copy.deepcopy(policy), _flat(policy)
    losses = np.zeros((len(part.weights), len(SLICE)))
    with torch.no_grad():
        logp = policy(part.batch)[0]
        for column, multiple in enumerate(SLICE.tolist()):
            nn.utils.vector_to_parameters(here + multiple * update, moved.parameters())
            gain = torch.expm1(moved(part.batch)[0] - logp)
            losses[:, column] = [-float((w * gain).sum()) for w in part.weights.values()]
    return dict(zip(part.weights, losses, strict=True))


def _tops(products: Sequence[Product], start: Tensor) -> list[Tensor]:
    return [top_eigenvector(product, start, STEPS) for product in products]


def _across(products: Sequence[Product], vectors: Sequence[Tensor]) -> float:
    """Mean of v' H v with each vector measured on the other part."""
    pairs = zip(products, reversed(vectors), strict=True)
    return float(np.mean([float(v @ product(v)) for product, v in pairs]))


def _flat(module: nn.Module) -> Tensor:
    """[D] all weights, in order."""
    return nn.utils.parameters_to_vector(module.parameters()).detach()
