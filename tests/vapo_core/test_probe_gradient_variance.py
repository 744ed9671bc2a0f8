"""Gradients per response, and what is read off their scatter."""

import numpy as np
import pytest
import torch

from tests.worlds import view_of
from vapo_core.probes.gradient_variance import contributions, noise_statistics, per_response_gradients
from vapo_core.types import Batch


def test_per_response_gradients_add_up_to_the_batch_gradient(cache):
    """And the two reductions' contributions have the batch gradients as their means."""
    view = view_of("walk", cache)
    rollout = view.world.engine.generate(view.pool[:8], 4, 1)
    batch = Batch.ungraded(rollout)
    advantages = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0)).where(batch.mask, 0.0)
    rows = per_response_gradients(view.world.policy, batch, advantages)
    parameters = list(view.world.policy.parameters())

    def whole(reduce) -> np.ndarray:
        logp, _ = view.world.policy(batch)
        found = torch.autograd.grad(reduce(-(advantages * logp)), parameters)
        return torch.cat([g.reshape(-1) for g in found]).double().numpy()

    lengths = batch.lengths.double().numpy()
    np.testing.assert_allclose(rows.sum(0), whole(torch.sum), atol=1e-4)
    by_reduction = contributions(rows, lengths)
    np.testing.assert_allclose(by_reduction["token"].mean(0), whole(lambda x: x.sum() / batch.mask.sum()), atol=1e-5)
    np.testing.assert_allclose(
        by_reduction["sequence"].mean(0), whole(lambda x: (x.sum(1) / batch.lengths).mean()), atol=1e-5
    )


def test_noise_statistics_are_unbiased_where_the_plain_ones_are_not():
    """METHODS section 3: with |G|^2 = 1, tr S = 10,000 and B = 64, the plain ratio tends to B."""
    rng = np.random.default_rng(1)
    dimensions, batch = 400, 64
    direction = np.zeros(dimensions)
    direction[0] = 1.0
    found, plain = [], []
    for _ in range(3000):
        rows = direction + rng.normal(0, np.sqrt(10_000 / dimensions), size=(batch, dimensions))
        found.append(noise_statistics(rows, np.arange(batch)))
        plain.append(found[-1][0] / float((rows.mean(0) ** 2).sum()))
    trace, square = np.mean(found, axis=0)
    assert trace == pytest.approx(10_000, rel=0.01)
    assert square == pytest.approx(1.0, abs=0.8)  # se about 0.2
    assert np.mean(plain) == pytest.approx(64, rel=0.05)


def test_clustered_prompts_raise_the_noise_by_their_intraclass_correlation():
    """R13: relative to G = 1 the trace is 1 + (G - 1) ICC."""
    rng = np.random.default_rng(2)
    prompts, answers = 2000, 4
    between = rng.normal(0, np.sqrt(0.25), size=(prompts, 1, 5))
    rows = (between + rng.normal(0, np.sqrt(0.75), size=(prompts, answers, 5))).reshape(-1, 5)
    trace, _ = noise_statistics(rows, np.repeat(np.arange(prompts), answers))
    assert trace == pytest.approx(5 * (1 + 3 * 0.25), rel=0.05)


def test_identical_responses_have_no_variance():
    rows = np.tile(np.arange(6.0), (8, 1))
    trace, square = noise_statistics(rows, np.arange(8))
    assert trace == pytest.approx(0, abs=1e-12)
    assert square == pytest.approx(55.0)


def test_noise_scale_is_left_out_when_it_cannot_be_resolved(cache):
    """Pure noise around 0: no number rather than a wild one."""
    from vapo_core.probes.gradient_variance import _statistics

    rows = np.random.default_rng(3).normal(size=(64, 200))
    found = _statistics(rows, np.arange(64), None)
    assert set(found) == {"trace"}
