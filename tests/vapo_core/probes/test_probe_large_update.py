"""Updates without sampling noise: what they do to J, and how sampled ones scatter about it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import run, small_spec, trainer_of, view_of
from vapo_core.distributed.ranks import Single
from vapo_core.probes import PROBES, CannotRun, large_update
from vapo_core.probes.large_update import draws_of, loss_gradient, prime
from vapo_core.probes.policy_shift import credited_batch, stepped


def trained_view(cache, **numbers):
    """After two RL steps, so that Adam has its averages."""
    trainer = trainer_of(small_spec("walk", numbers={"responses_per_step": 64, "mini_batches": 4, **numbers}), cache)
    trainer.steps = 2
    run(trainer)
    return trainer._view(2)


class Recorder:
    """Stands for a learner and keeps the gradient it is asked to step with."""

    def __init__(self, module):
        self.module, self.forward, self.ranks = module, module, Single()

    def step(self) -> float:
        self.gradient = torch.cat([p.grad.flatten() for p in self.module.parameters()])
        return float(self.gradient.norm())


def test_gradient_put_into_adam_is_the_one_the_update_would_take(cache):
    view = trained_view(cache, mini_batches=1, epochs=1)
    batch, credited = credited_batch(view, "test", 3)
    recorder = Recorder(copy.deepcopy(view.world.policy))
    stepped(view, batch, credited, recorder, "test")
    found = loss_gradient(view.world.policy, batch, credited, view.recipe)
    torch.testing.assert_close(found, recorder.gradient, atol=1e-6, rtol=1e-3)


def test_prime_replaces_the_mean_gradient_clipped_and_nothing_else(cache):
    view = trained_view(cache)
    policy = copy.deepcopy(view.policy)
    before = [policy.optimizer.state[p]["exp_avg_sq"].clone() for p in policy.module.parameters()]
    gradient = torch.ones(sum(p.numel() for p in policy.module.parameters()))
    prime(policy, gradient)
    flat = torch.cat([policy.optimizer.state[p]["exp_avg"].flatten() for p in policy.module.parameters()])
    begun = 1 - 0.9**16  # two RL steps of four mini-batches, twice each
    assert float(flat.norm()) == pytest.approx(policy.max_grad_norm * begun, rel=1e-4)
    assert float(flat.std()) == pytest.approx(0, abs=1e-8)
    after = [policy.optimizer.state[p]["exp_avg_sq"] for p in policy.module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    fresh = copy.deepcopy(view_of("walk", cache).policy)
    prime(fresh, gradient)
    assert not fresh.optimizer.state


def test_the_large_update_raises_j_and_repeats_better_than_sampled_ones(cache):
    """At other draws its change of J scatters less, for its size, than that of the recipe's own updates."""
    view = trained_view(cache, responses_per_step=16, mini_batches=2)
    found = [PROBES["large_update"](replace(view, step=step)).metrics for step in (2, 3, 4, 5)]
    changes = [m["large_update/delta_j"] for m in found]
    noise, signal = (np.mean([m[f"large_update/{name}"] for m in found]) for name in ("noise", "signal"))
    assert min(changes) > 0
    assert signal > 0
    assert np.std(changes) / np.mean(changes) < 0.4 * noise / signal


def test_a_flipped_objective_lowers_j_at_any_batch_size(cache):
    """Control: the sign of every advantage turned, no imitation, no momentum yet; unturned it raises J."""
    view = view_of("walk", cache, numbers={"responses_per_step": 64, "mu": 0.0, "epochs": 1})
    flipped = replace(view, recipe=replace(view.recipe, whiten=lambda x, mask: -view.recipe.whiten(x, mask)))
    assert PROBES["large_update"](flipped).metrics["large_update/delta_j"] < 0
    assert PROBES["large_update"](flipped).metrics["large_update/sampled_down"] > 0.5
    assert PROBES["large_update"](view).metrics["large_update/delta_j"] > 0


def test_draws_of_different_steps_are_disjoint():
    seen = [number for step in range(40) for number in draws_of(step)]
    assert len(set(seen)) == len(seen) == 40 * large_update.DRAWS


def test_signs_are_not_read_off_a_noisy_j(cache):
    with pytest.raises(CannotRun, match="exact"):
        PROBES["large_update"](view_of("lm", cache))
