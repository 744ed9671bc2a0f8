"""The twin whose critic rehearses rare places: the critic moves there, the policy's own step does not change."""

import numpy as np
import pytest
import torch

from tests.support.worlds import run, small_spec, trainer_of
from vapo_core.combinations import check_combination
from vapo_core.oracles import rare_places
from vapo_core.oracles.monte_carlo import continue_all
from vapo_core.oracles.rare_places import panels, replayable
from vapo_core.recipe import RECIPES, Settings, assemble
from vapo_core.slots import replay
from vapo_core.slots.replay import RareReplay


def shown(slot, view) -> int:
    """The slot called as the trainer calls it after a step."""
    return slot(view.world, view.pool, view.settings, view.critic, view.seeds, view.step)


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_it_moves_the_critic_and_nothing_else(world, cache):
    trainer = trainer_of(small_spec(world), cache)
    policy = [p.clone() for p in trainer.world.policy.parameters()]
    critic = [p.clone() for p in trainer.world.critic.parameters()]
    assert shown(RareReplay(), trainer._view(1)) > 0
    assert all(torch.equal(a, b) for a, b in zip(policy, trainer.world.policy.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(critic, trainer.world.critic.parameters(), strict=True))
    assert all(p.grad is None for p in trainer.world.critic.parameters())


def test_rehearsing_brings_the_critic_to_the_truth_on_rare_places(cache):
    """Three hundred rehearsals under a frozen policy: the critic's error there falls to a fraction."""
    trainer = trainer_of(small_spec("walk", numbers={"critic_lr": 1e-2}), cache)
    view = trainer._view(0)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    inside = replayable(fixed)
    row, time = fixed.row[inside], fixed.time[inside]
    truth = torch.from_numpy(view.world.exact_at(fixed.rollout, row, time))

    def error() -> float:
        from vapo_core.types import Batch

        with torch.no_grad():
            values = view.world.critic(Batch.ungraded(fixed.rollout))[row, time]
        return float((values - truth).square().mean())

    before, rehearse = error(), RareReplay()
    for step in range(300):
        shown(rehearse, trainer._view(step))
    assert error() < 0.25 * before


def test_only_rehearsable_places_are_rehearsed_and_none_where_there_are_none(cache, monkeypatch):
    trainer = trainer_of(small_spec("lm"), cache)
    view = trainer._view(1)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    asked = []

    def recorded(world, rollout, problems, row, time, *rest):
        asked.extend(zip(row.tolist(), time.tolist(), strict=True))
        return continue_all(world, rollout, problems, row, time, *rest)

    monkeypatch.setattr(replay, "continue_all", recorded)
    shown(RareReplay(), view)
    inside = replayable(fixed)
    assert set(asked) == set(zip(fixed.row[inside].tolist(), fixed.time[inside].tolist(), strict=True))
    monkeypatch.setattr(rare_places, "standing", lambda x, group: np.full(len(x), 0.5))
    before = [p.clone() for p in trainer.world.critic.parameters()]
    assert shown(RareReplay(), view) == 0
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.world.critic.parameters(), strict=True))


def test_a_run_charges_its_tokens_and_repeats(cache):
    plain = run(trainer_of(small_spec("walk"), cache))
    twin = small_spec("walk", variants={"rehearsal": "rare"})
    points = run(trainer_of(twin, cache))
    assert points[-1][1]["tokens/generated"] > plain[-1][1]["tokens/generated"]
    assert points[1][1]["reward/mean"] == plain[1][1]["reward/mean"]  # the first step is taken before any rehearsal
    again = run(trainer_of(twin, cache))
    assert again[-1][1]["tokens/generated"] == points[-1][1]["tokens/generated"]
    assert twin.arm == "vapo rehearsal=rare"


def test_recipes_do_not_rehearse_and_critic_free_ones_cannot():
    for bundle in RECIPES.values():
        assert assemble(bundle.toggles, Settings(), bundle.variants).rehearsal(None, [], Settings(), None, None, 1) == 0
    grpo = RECIPES["grpo"]
    with pytest.raises(ValueError, match="no critic"):
        check_combination(grpo.toggles, Settings(), {**grpo.variants, "rehearsal": "rare"})
