"""Blocks of responses: products without noise, and grad J without bias where nobody knows it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import view_of
from vapo_core.functional.losses import sequence_mean, token_mean
from vapo_core.probes.directions import (
    block_size,
    expected,
    leave_one_out,
    products,
    reduced,
    square,
    squared_product,
    summed_gradient,
    surely_positive,
    true_gradient,
)
from vapo_core.probes.fresh import Fresh, fresh_batch, recredit
from vapo_core.types import Batch


def blind(view):
    """A world that does not know grad J."""
    world = view.world
    hidden = type("Hidden", (), {"__getattr__": lambda self, name: getattr(world, name)})()
    hidden.exact_gradient = lambda problems: None
    return replace(view, world=hidden)


def test_grad_j_from_samples_is_the_exact_one(cache):
    """Along the exact gradient and in every coordinate within noise: leave-one-out takes nothing away in expectation."""
    view = view_of("walk", cache, numbers={"responses_per_step": 256})
    exact, rows = view.world.exact_gradient(view.pool), true_gradient(blind(view), "test")
    along = (rows @ exact / exact.square().sum()).numpy()
    error = along.std(ddof=1) / np.sqrt(len(along))
    assert abs(along.mean() - 1) < 4 * error < 0.2
    spread = rows.std(0) / len(rows) ** 0.5
    seen = spread > 1e-6
    z = ((rows.mean(0) - exact) / spread)[seen]
    assert float(z.square().mean()) < 3  # Student's with 7 degrees of freedom has 1.4, coordinates are correlated
    assert torch.equal(true_gradient(view, "test"), exact[None])


def test_at_lambda_1_token_mean_points_along_grad_j(cache):
    """R5: grad J / E l under token mean, whatever the critic says; sequence mean points elsewhere."""
    view = view_of("walk", cache, "ppo", numbers={"fixed_lambda": 1.0, "mu": 0.0})
    blocks, exact = expected(view, {"own": view.recipe}, "test")["own"], view.world.exact_gradient(view.pool)
    cosines = {
        k: float(x.mean(0) @ exact) / np.sqrt(square(x) * square(exact[None])) for k, x in blocks._asdict().items()
    }
    assert cosines["token"] == pytest.approx(1, abs=0.03)
    assert cosines["sequence"] < cosines["token"]


def test_credit_given_again_is_that_of_a_batch_sampled_with_it(cache):
    view = view_of("walk", cache)
    other = replace(view.recipe, length_adaptive_gae=lambda lengths: torch.full((len(lengths),), 0.3))
    fresh = fresh_batch(view, view.recipe, 64, "test")
    assert recredit(view, fresh, view.recipe) is fresh
    found, wanted = recredit(view, fresh, other), fresh_batch(view, other, 64, "test")
    torch.testing.assert_close(found.advantages, wanted.advantages)
    assert not torch.allclose(found.advantages, fresh.advantages)
    both = expected(view, {"own": view.recipe, "other": other}, "test")
    assert not torch.allclose(both["own"].token, both["other"].token)


def test_reductions_and_gradients_are_those_of_the_loss(cache):
    view = view_of("walk", cache)
    batch = Batch.ungraded(view.world.engine.generate(view.pool[:8], 4, 1))
    advantages = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0)).where(batch.mask, 0.0)
    parameters = list(view.world.policy.parameters())
    for name, reduce in (("token", token_mean), ("sequence", sequence_mean)):
        wanted = torch.autograd.grad(reduce(advantages * view.world.policy(batch)[0], batch.mask), parameters)
        found = summed_gradient(view.world.policy, batch, reduced(name, advantages, batch.mask))
        torch.testing.assert_close(found, torch.cat([g.flatten() for g in wanted]), atol=1e-6, rtol=1e-4)


def test_leave_one_out_by_hand():
    zeros, mask = torch.zeros(4, 2), torch.ones(4, 2, dtype=torch.bool)
    rewards = torch.tensor([1.0, 0.0, 0.0, 0.0])

    def fresh(group: list[int]) -> Fresh:
        batch = Batch({}, mask, zeros, zeros, zeros[:, 0], zeros[:, 0].bool(), torch.tensor(group), zeros.long())
        return Fresh(batch, zeros, [], rewards, torch.ones_like(zeros))

    assert leave_one_out(fresh([0, 0, 1, 1])).tolist() == [1, -1, 0, 0]
    assert leave_one_out(fresh([0, 1, 2, 3])).tolist() == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])


def test_products_of_blocks_are_unbiased_where_the_plain_ones_are_not():
    rng = np.random.default_rng(0)
    a, b = np.array([1.0, 0, 0, 0]), np.array([0.5, 1, 0, 0])
    found, plain, own, exact = [], [], [], []
    for _ in range(4000):
        x, y = (torch.from_numpy(v + 2 * rng.normal(size=(6, 4))) for v in (a, b))
        inner = products(x, y)
        found.append(squared_product(inner))
        plain.append(inner.mean() ** 2)
        own.append(square(x))
        exact.append(squared_product(products(x, torch.from_numpy(b)[None])))
    for numbers, true in ((found, 0.25), (own, 1.0), (exact, 0.25)):
        assert abs(np.mean(numbers) - true) < 4 * np.std(numbers) / np.sqrt(len(numbers))
    assert np.mean(plain) > 0.5


def test_noise_is_surely_positive_in_one_case_of_forty():
    rng = np.random.default_rng(1)
    said = [
        surely_positive(products(*(torch.from_numpy(rng.normal(size=(8, 30))) for _ in range(2)))) for _ in range(2000)
    ]
    assert np.mean(said) < 0.05
    ones = torch.ones(8, 3)
    assert surely_positive(products(ones + 0.1 * torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), ones))
    assert not surely_positive(products(-ones, ones[:1]))


def test_large_networks_get_smaller_blocks(cache):
    view = view_of("walk", cache)
    assert block_size(view.world.policy) > block_size(torch.nn.Linear(1000, 1000)) == 256
