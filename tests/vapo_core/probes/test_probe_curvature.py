"""Curvature of the surrogate: known spectra, finite differences, and no bias from choosing the direction."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from experiments.benchmarks.per_response import random_batch
from tests.support.worlds import small_spec, trainer_of, view_of
from vapo_core.functional.curvature import Surrogate, top_eigenvector
from vapo_core.models.base_model import build_model, character_tokenizer
from vapo_core.models.policy import LanguagePolicy
from vapo_core.probes import CannotRun, curvature
from vapo_core.probes.curvature import Part, slices, slopes, top_curvatures
from vapo_core.probes.directions import REDUCTIONS, Blocks
from vapo_core.types import Batch


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_lanczos_finds_the_largest_eigenvalue_not_the_largest_magnitude():
    rotation, _ = torch.linalg.qr(torch.randn(40, 40, generator=generator()))
    spectrum = torch.cat([torch.tensor([-10.0, 5.0]), torch.linspace(-1, 1, 38)])
    matrix = rotation @ torch.diag(spectrum) @ rotation.T
    found = top_eigenvector(lambda v: matrix @ v, torch.randn(40, generator=generator(1)), 15)
    assert float(found @ matrix @ found) == pytest.approx(5, rel=1e-4)
    assert abs(float(found @ rotation[:, 1])) == pytest.approx(1, abs=1e-3)
    low_rank = torch.diag(torch.tensor([3.0, 0.0, 0.0, 0.0]))  # the space is exhausted after two steps
    found = top_eigenvector(lambda v: low_rank @ v, torch.ones(4), 4)
    assert float(found @ low_rank @ found) == pytest.approx(3, rel=1e-5)


def finite_difference(policy: nn.Module, batch: Batch, weights: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Central difference of the gradient of -sum w rho, the old policy held fixed."""
    parameters = list(policy.parameters())
    here = nn.utils.parameters_to_vector(parameters).detach()
    old = policy(batch)[0].detach()
    found = []
    for step in (1e-2, -1e-2):
        nn.utils.vector_to_parameters(here + step * v, parameters)
        loss = -(weights * (policy(batch)[0] - old).exp()).sum()
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
    nn.utils.vector_to_parameters(here, parameters)
    return (found[0] - found[1]) / 2e-2


def policies(cache) -> list[tuple[nn.Module, Batch]]:
    view = view_of("walk", cache)
    text = LanguagePolicy(build_model("tiny", "qwen3", character_tokenizer("abcdefgh"), 0).eval(), 1.0)
    return [
        (view.world.policy, Batch.ungraded(view.world.engine.generate(view.pool[:8], 4, 1))),
        (text, random_batch(6, 10, 11)),
    ]


def test_hessian_products_equal_finite_differences(cache):
    """In both worlds; the fused kernels without a second derivative are stepped around, and put back."""
    for policy, batch in policies(cache):
        weights = torch.rand(batch.mask.shape, generator=generator()).where(batch.mask, 0.0)
        surrogate = Surrogate(policy, batch)
        torch.testing.assert_close(surrogate.logp, policy(batch)[0], atol=1e-5, rtol=1e-5)
        v = surrogate.gradient(weights)
        v = v / v.norm()
        expected = finite_difference(policy, batch, weights, v)
        found = surrogate.hessian(weights)(v)
        assert float((found - expected).norm() / expected.norm()) < 0.02
        assert not any(m._forward_hooks for m in policy.modules())


def test_gauss_newton_products_equal_a_sum_over_tokens(cache):
    """-sum w psi (psi . v), psi by one backward pass per token."""
    for policy, batch in policies(cache):
        weights = torch.randn(batch.mask.shape, generator=generator()).where(batch.mask, 0.0)
        parameters = list(policy.parameters())
        v = torch.randn(sum(p.numel() for p in parameters), generator=generator(1))
        expected = torch.zeros_like(v)
        logp, _ = policy(batch)
        for row, token in batch.mask.nonzero().tolist():
            found = torch.autograd.grad(logp[row, token], parameters, retain_graph=True)
            psi = torch.cat([g.flatten() for g in found])
            expected -= weights[row, token] * psi * (psi @ v)
        found = Surrogate(policy, batch).gauss_newton(weights)(v)
        torch.testing.assert_close(found, expected, atol=1e-3 * float(expected.abs().max()), rtol=1e-3)


class Quadratic(nn.Module):
    """log pi_it = b . theta - theta' diag(c_it) theta / 2 at theta = 0: psi = b, grad psi = -diag(c_it)."""

    def __init__(self, slope: torch.Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(len(slope)))
        self.slope = slope

    def forward(self, batch):
        curve = (batch.inputs["curvature"] * self.theta.square()).sum(-1)
        return self.theta @ self.slope - 0.5 * curve, torch.zeros(batch.mask.shape)


def quadratic_part(lengths: list[int], curvatures: torch.Tensor) -> Part:
    """Responses of these lengths; curvatures: [B, D], the same on all tokens of a response. Advantages are 1."""
    tokens = max(lengths)
    mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
    zeros, each = torch.zeros(mask.shape), torch.zeros(len(lengths))
    inputs = {"curvature": curvatures[:, None, :].expand(-1, tokens, -1)}
    batch = Batch(inputs, mask, zeros, zeros, each, each.bool(), torch.arange(len(lengths)), zeros.long())
    return Part.of(batch, torch.ones(mask.shape).where(mask, 0.0))


def test_weighted_quadratics_have_their_known_curvatures_and_covariance():
    """Lengths 1 and 3 with curvatures 2 and 6 on the first axis: token mean (2 + 3 * 6) / 4 = 5, sequence mean 4.

    psi is 0, so the Gauss-Newton part is 0. Cov(l, H) / mean l = 2 / 2 = 1, a quarter of sequence mean's 4.
    """
    curvatures = torch.tensor([[2.0, 0.5, 0.0], [6.0, 0.5, -1.0]])
    part = quadratic_part([1, 3], curvatures)
    found = top_curvatures(Quadratic(torch.zeros(3)), [part, part], part, torch.ones(3))
    assert found["top_token"] == pytest.approx(5)
    assert found["top_sequence"] == pytest.approx(4)
    assert found["length_covariance"] == pytest.approx(0.25)
    assert found["length_covariance_apart"] == pytest.approx(
        (1 / 4 + 1 / 5) / 2
    )  # over 4 along one top, 5 along the other
    assert found["top_gauss_newton_token"] == pytest.approx(0, abs=1e-6)


def test_slope_and_score_outer_product_by_hand():
    """psi = b on every token, advantage 1: g = -b, H = C - b b', so b's own axis has curvature c - |b|^2."""
    slope = torch.tensor([0.0, 3.0])
    part = quadratic_part([2, 4], torch.tensor([[4.0, 1.0], [4.0, 1.0]]))
    surrogate = Surrogate(Quadratic(slope), part.batch)
    weights = part.weights["token"]
    torch.testing.assert_close(surrogate.gradient(weights), -slope)
    torch.testing.assert_close(surrogate.hessian(weights)(torch.eye(2)[0]), torch.tensor([4.0, 0.0]))
    torch.testing.assert_close(surrogate.hessian(weights)(torch.eye(2)[1]), torch.tensor([0.0, 1.0 - 9.0]))
    torch.testing.assert_close(surrogate.gauss_newton(weights)(torch.eye(2)[1]), torch.tensor([0.0, -9.0]))
    rows = (-surrogate.gradient(weights)).expand(4, -1)
    assert slopes(Blocks(rows, 2 * rows)) == pytest.approx({"token": 3.0, "sequence": 6.0})


def test_equal_lengths_give_a_ratio_of_one():
    curvatures = torch.rand(8, 5, generator=generator())
    parts = [quadratic_part([4] * 8, curvatures), quadratic_part([4] * 8, curvatures.flip(0))]
    found = top_curvatures(Quadratic(torch.ones(5)), parts, parts[0], torch.randn(5, generator=generator()))
    assert found["top_token"] == pytest.approx(found["top_sequence"], rel=1e-5)
    assert found["top_gauss_newton_token"] == pytest.approx(found["top_gauss_newton_sequence"], rel=1e-5)
    assert found["length_covariance"] == pytest.approx(0, abs=1e-5)
    assert found["length_covariance_apart"] == pytest.approx(0, abs=1e-5)


def test_choosing_the_direction_on_the_same_batch_is_biased_and_the_other_half_is_not():
    """True curvature 1 in every direction, noisy: the chosen one looks curved only to the batch it was chosen on."""
    own, other = [], []
    for seed in range(20):
        parts = [
            quadratic_part([2] * 8, 1 + torch.randn(8, 30, generator=generator(100 + 2 * seed + i))) for i in (0, 1)
        ]
        policy, start = Quadratic(torch.zeros(30)), torch.randn(30, generator=generator(seed))
        other.append(top_curvatures(policy, parts, parts[0], start)["top_token"])
        own.append(top_curvatures(policy, [parts[0], parts[0]], parts[0], start)["top_token"])
    assert np.mean(own) > 1.4
    assert np.mean(other) == pytest.approx(1, abs=4 * np.std(other) / math.sqrt(20))


def test_the_covariance_is_read_on_the_third_part_alone():
    """There long responses are the flat ones, whatever the two halves say: the sign is the third part's."""
    steep, flat = torch.tensor([[2.0, 0.0], [6.0, 0.0]]), torch.tensor([[6.0, 0.0], [2.0, 0.0]])
    halves, apart = [quadratic_part([1, 3], steep)] * 2, quadratic_part([1, 3], flat)
    found = top_curvatures(Quadratic(torch.zeros(2)), halves, apart, torch.ones(2))
    assert found["length_covariance"] == pytest.approx(0.25)
    assert found["length_covariance_apart"] == pytest.approx((-1 / 4 - 1 / 3) / 2)  # token 3, sequence 4


def test_merged_tokens_have_the_same_curvature_and_slope(cache):
    """Walks with filler, which is no choice: gradient and products as from all tokens, from a tenth of them."""
    view = view_of("walk", cache, dials={"size": 8, "horizon": 12, "filler": 2})
    batch = Batch.ungraded(view.world.engine.generate(view.pool, 256, 1))
    whole = Part.of(batch, torch.randn(batch.mask.shape, generator=generator()).where(batch.mask, 0.0))
    merged = whole.merged(view.world)
    assert len(merged.batch.mask) < 0.1 * int((batch.mask & (batch.inputs["phase"] == 0)).sum())
    for name in REDUCTIONS:
        found = []
        for part in (whole, merged):
            surrogate = Surrogate(view.world.policy, part.batch)
            slope = surrogate.gradient(part.weights[name])
            weighted = surrogate.gauss_newton(part.weights[name])(slope)
            found.append([slope, surrogate.hessian(part.weights[name])(slope), weighted])
        torch.testing.assert_close(found[1], found[0], atol=1e-6, rtol=1e-3)


def test_text_keeps_its_tokens(cache):
    world = view_of("lm", cache).world
    part = Part.of(random_batch(4, 10, 11), torch.randn(4, 10))
    assert not world.repeats
    assert part.merged(world).batch is part.batch


def test_the_walk_has_a_ratio_and_a_slice_whose_slope_is_the_gradient(cache, monkeypatch):
    monkeypatch.setattr(curvature, "MERGED", 2048)
    view = view_of("walk", cache, numbers={"responses_per_step": 256})
    found = curvature.measure(view)
    assert {f"curvature/{n}" for n in ("log_ratio", "kappa_token", "kappa_sequence")} <= set(found.metrics)
    multiple, loss = found.arrays["multiple"], found.arrays["token"]
    assert loss[multiple == 0] == pytest.approx(0, abs=1e-7)
    assert loss[multiple == 1] < 0  # the update lowers the loss of a batch it has not seen

    batch = Batch.ungraded(view.world.engine.generate(view.pool[:16], 4, 1))
    part = Part.of(batch, torch.randn(batch.mask.shape, generator=generator()).where(batch.mask, 0.0))
    gradient = Surrogate(view.world.policy, batch).gradient(part.weights["sequence"])
    monkeypatch.setattr(curvature, "SLICE", np.array([-1.0, 1.0]))
    low, high = slices(view.world.policy, 0.01 * gradient / gradient.norm(), part)["sequence"]
    assert (high - low) / 0.02 == pytest.approx(float(gradient.norm()), rel=0.02)


def test_an_update_that_does_not_move_the_policy_cannot_be_measured(cache):
    trainer = trainer_of(small_spec("walk", numbers={"policy_lr": 0.0}), cache)
    with pytest.raises(CannotRun, match="does not move"):
        curvature.measure(trainer._view(0))
