"""Values cut to the rewards there are: the critic's own inside, the nearer end outside, nothing on padding."""

import pytest
import torch

from tests.support.told_critic import Told
from tests.support.worlds import run, small_spec, trainer_of, view_of
from vapo_core.slots.values import VARIANTS, critic_values
from vapo_core.types import Batch


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.4, 0.6)])
def test_cut_at_both_ends(low, high, cache):
    view = view_of("walk", cache)
    batch = Batch.ungraded(view.world.engine.generate(view.pool, 4, 3))
    settings = view.settings.model_copy(update={"reward_low": low, "reward_high": high})
    said = 3 * torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0))
    view.world.critic = Told(said.where(batch.mask, 0.0))
    own = critic_values(view.world, batch, [], settings, 0).values
    found = VARIANTS["bounded"](settings)(view.world, batch, [], settings, 0)
    inside = batch.mask & (own > low) & (own < high)
    assert inside.any()
    assert torch.equal(found.values[inside], own[inside])
    assert (found.values[batch.mask & (own >= high)] == high).all()
    assert (found.values[batch.mask & (own <= low)] == low).all()
    assert (found.values[~batch.mask] == 0).all()
    assert found.tokens == 0


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_a_biased_critic_learns_alike_and_is_read_otherwise(world, cache):
    """Targets at lambda 1 do not look at values: one step leaves the same critic, and another policy."""
    numbers = {"critic_bias": 2.0, "warmup_steps": 1}
    trained = []
    for variants in ({}, {"values": "bounded"}):
        trainer = trainer_of(small_spec(world, steps=1, numbers=numbers, variants=variants), cache)
        run(trainer)
        weights = [
            torch.cat([p.flatten() for p in net.parameters()]) for net in (trainer.world.policy, trainer.world.critic)
        ]
        trained.append(weights)
    (policy, critic), (other_policy, other_critic) = trained
    assert torch.equal(critic, other_critic)
    assert not torch.equal(policy, other_policy)
