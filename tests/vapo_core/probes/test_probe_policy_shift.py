"""How far one update goes, and what it gains."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.inexact_engine import InexactEngine
from tests.support.worlds import small_spec, trainer_of, view_of
from vapo_core.probes import PROBES
from vapo_core.probes.fresh import Whitening, fresh_batch
from vapo_core.probes.policy_shift import credited_batch, paired_change, updated_policy


def test_policy_shift_of_a_frozen_policy_is_zero(cache):
    trainer = trainer_of(small_spec("walk", numbers={"policy_lr": 0.0}), cache)
    metrics = PROBES["policy_shift"](trainer._view(0)).metrics
    assert metrics["policy_shift/kl_response"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy_shift/delta_j"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy_shift/outside"] == 0
    assert metrics["policy_shift/ratio_p01"] == metrics["policy_shift/ratio_p99"] == pytest.approx(1)
    assert "policy_shift/kl_per_square" not in metrics


def test_policy_shift_grows_with_the_rate(cache):
    """KL grows about with the square of the step."""
    found = []
    for rate in (1e-4, 1e-3):
        trainer = trainer_of(small_spec("walk", numbers={"policy_lr": rate, "responses_per_step": 512}), cache)
        found.append(PROBES["policy_shift"](trainer._view(0)).metrics)
    assert found[1]["policy_shift/kl_response"] > 20 * found[0]["policy_shift/kl_response"]
    for metrics in found:
        kl, gain = metrics["policy_shift/kl_response"], metrics["policy_shift/delta_j"]
        assert metrics.get("policy_shift/kl_per_square") == (pytest.approx(kl / gain**2) if gain > 0 else None)


def test_small_steps_raise_j_on_average(cache):
    """One draw may not: a sampled gradient points uphill in expectation only."""
    view = view_of("walk", cache, numbers={"policy_lr": 1e-3, "responses_per_step": 512})
    gains = [view.world.exact_change(updated_policy(view, "test", draw), view.pool) for draw in range(8)]
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(8) > 0


def test_paired_change_is_unbiased_and_sharper_than_two_evaluations():
    """Two Bernoulli-coin policies with known J: the paired estimate is right and its error a tenth of the unpaired."""
    rng = torch.Generator().manual_seed(0)
    old, new, n = 0.4, 0.41, 4096
    errors = []
    for _ in range(200):
        hit = torch.rand(n, generator=rng) < old
        ratio = torch.where(hit, torch.tensor(new / old), torch.tensor((1 - new) / (1 - old))).log()
        change, error = paired_change(ratio, hit.float())
        errors.append(((change - (new - old)), error))
    found = torch.tensor(errors)
    assert abs(float(found[:, 0].mean())) < 4 * float(found[:, 0].std()) / 200**0.5
    assert float(found[:, 0].std()) < 0.1 * (2 * old * (1 - old) / n) ** 0.5
    assert float(found[:, 1].mean()) == pytest.approx(float(found[:, 0].std()), rel=0.2)


def test_the_measured_update_pays_the_penalty_to_the_reference(cache):
    """Away from the reference a strong KL penalty pulls the update back to it; without the reference it could not."""
    trainer = trainer_of(small_spec("walk", numbers={"kl_coef": 100.0, "policy_lr": 1e-2, "mini_batches": 1}), cache)
    with torch.no_grad():
        for p in trainer.world.policy.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    view = trainer._view(1)
    start = torch.nn.utils.parameters_to_vector(trainer.reference.parameters())
    before, after = (
        torch.nn.utils.parameters_to_vector(policy.parameters())
        for policy in (view.world.policy, updated_policy(view, "test"))
    )
    assert float((after - before) @ (start - before)) > 0
    other = torch.nn.utils.parameters_to_vector(updated_policy(replace(view, reference=None), "test").parameters())
    assert float((after - before) @ (start - before)) > 2 * float((other - before) @ (start - before))


def with_inexact_engine(view):
    world = copy.copy(view.world)
    world.engine = InexactEngine(view.world.engine)
    return replace(view, world=world)


def parameters(policy: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(policy.parameters()).detach()


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_an_inexact_engine_moves_neither_the_measured_update_nor_the_shift(world, cache):
    """The trainer recomputes log-probabilities, so ratios start at 1 and nothing is clipped; the probe must do the same."""
    view = view_of(world, cache, numbers={"policy_lr": 1e-3})
    inexact = with_inexact_engine(view)
    before, plain, found = (
        parameters(p) for p in (view.world.policy, *(updated_policy(v, "test") for v in (view, inexact)))
    )
    assert (plain - before).abs().max() > 1e-4
    torch.testing.assert_close(found, plain, atol=2e-5, rtol=0)
    wanted, measured = (PROBES["policy_shift"](v).metrics for v in (view, inexact))
    assert measured == pytest.approx(wanted, rel=0.02, abs=1e-5)


def test_the_measured_update_has_the_importance_weights_of_the_trainers(cache):
    """Samples are half a nat likelier under the policy than recorded: weights of 1.65 reach advantages and gradients."""
    numbers = {"importance_weighting": True, "mini_batches": 1, "epochs": 1}
    view = view_of("walk", cache, numbers=numbers)
    _, plain = credited_batch(view, "test")
    batch, weighted = credited_batch(with_inexact_engine(view), "test")
    weights = torch.ones_like(plain.advantages)
    weights[:, ::2] = np.exp(0.5)
    torch.testing.assert_close(weighted.advantages, plain.advantages * weights.where(batch.mask, 1.0))
    fresh, inexact = (fresh_batch(v, v.recipe, 64, "test") for v in (view, with_inexact_engine(view)))
    one = Whitening(1.0, 0.0)
    torch.testing.assert_close(one(inexact), one(fresh) * weights[:1].expand(64, -1)[:, : one(fresh).shape[1]])
