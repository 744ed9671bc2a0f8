"""Alternatives in existing slots by hand: mixed baselines, sums normalised by length, one sign alone, rewards by coin."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from experiments.specs.spec import TaskSpec, spec_for
from tests.support.told_critic import Told
from tests.support.worlds import run, small_spec, trainer_of, view_of
from vapo_core.functional.losses import length_normalised_mean, linear_weights, sequence_mean, token_mean
from vapo_core.recipe import VARIANTS, Settings, Toggles, assemble
from vapo_core.slots.mixed_values import explained_variance, mixing_weight, others_mean
from vapo_core.slots.values import critic_values
from vapo_core.tasks.walk import Walk, WalkDials, WalkPath
from vapo_core.types import Batch

REWARDS, GROUP = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 0, 1, 1])
ALL = torch.ones(2, 2, dtype=torch.bool)


# --- values ---


def test_the_mean_of_the_other_answers():
    assert others_mean(REWARDS, GROUP).tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    with pytest.raises(ValueError, match="at least 2 answers"):
        others_mean(REWARDS, torch.tensor([0, 0, 0, 1, 2]))


def test_the_mixing_weight_is_that_of_least_squares():
    """R - m = (0.5, -0.5), V - m = (0.5, 0.25 | -0.25, 0): rho = (0.5 * 0.75 + 0.5 * 0.25) / (0.25 + 2 * 0.0625) = 4/3 -> 1.

    With V twice as far from m the same numerator doubles and the denominator is fourfold: 2/3.
    """
    m, rewards = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    values = torch.tensor([[1.0, 0.75], [0.25, 0.5]])
    assert mixing_weight(values, m, rewards, ALL) == 1.0
    wide = 0.5 + 2 * (values - 0.5)
    assert mixing_weight(wide, m, rewards, ALL).item() == pytest.approx(2 / 3)
    assert mixing_weight(1 - values, m, rewards, ALL) == 0.0, "a critic that is wrong way round is left out"
    assert mixing_weight(torch.full((2, 2), 0.5), m, rewards, ALL) == 0.0


def test_masked_places_have_no_say_in_the_weight():
    m, rewards = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    values = torch.tensor([[1.5, 999.0], [0.0, 0.5]])
    mask = torch.tensor([[True, False], [True, True]])
    assert mixing_weight(values, m, rewards, mask).item() == pytest.approx((0.5 * 1 + 0.5 * 0.5) / (1 + 0.25))


def test_explained_variance_by_hand():
    """Returns 1, 1, 0, 0 have variance 1/4; errors 0.5, 0, 0, -0.5 have 1/8."""
    rewards, values = torch.tensor([1.0, 0.0]), torch.tensor([[0.5, 1.0], [0.0, 0.5]])
    assert explained_variance(values, rewards, ALL).item() == pytest.approx(0.5)
    assert explained_variance(torch.zeros(2, 2), rewards, ALL) == 0.0
    assert explained_variance(1 - values, rewards, ALL) < 0
    assert explained_variance(values, torch.ones(2), ALL) == 0.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_critic_is_used_only_where_it_explains_variance(sign, cache):
    """Told values equal to the returns explain all of it; their opposites less than nothing, so every place says the mean."""
    view = view_of("walk", cache)
    rollout = view.world.engine.generate(view.pool, 4, 3)
    batch = Batch.ungraded(rollout)
    rewards = (torch.arange(len(batch.mask)) % 3 == 0).float()
    object.__setattr__(batch, "rewards", rewards)
    view.world.critic = Told((sign * rewards)[:, None].expand_as(batch.logp_old).where(batch.mask, 0.0))
    found = VARIANTS["values"]["gated"](view.settings)(view.world, batch, [], view.settings, 0).values
    own = critic_values(view.world, batch, [], view.settings, 0).values
    mean = rewards.mean().expand_as(found).where(batch.mask, 0.0)
    assert torch.allclose(found, own if sign > 0 else mean)


def test_the_tether_lies_between_critic_and_group(cache):
    view = view_of("walk", cache)
    batch = Batch.ungraded(view.world.engine.generate(view.pool, 4, 3))
    object.__setattr__(batch, "rewards", (torch.arange(len(batch.mask)) % 3 == 0).float())
    object.__setattr__(batch, "group", torch.arange(len(batch.mask)) // 4)
    said = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(0)).where(batch.mask, 0.0)
    view.world.critic = Told(said)
    found = VARIANTS["values"]["tether"](view.settings)(view.world, batch, [], view.settings, 0).values
    m = others_mean(batch.rewards, batch.group)[:, None].expand_as(said)
    rho = mixing_weight(said, m[:, 0], batch.rewards, batch.mask)
    assert 0 < rho < 1
    assert torch.allclose(found, (rho * said + (1 - rho) * m).where(batch.mask, 0.0))


@pytest.mark.parametrize("name", ["tether", "gated"])
@pytest.mark.parametrize("world", ["walk", "lm"])
def test_targets_do_not_see_mixed_values(name, world, cache):
    """The critic learns as ever, the policy otherwise."""
    trained = []
    for variants in ({}, {"values": name}):
        trainer = trainer_of(small_spec(world, steps=1, numbers={"critic_bias": 2.0}, variants=variants), cache)
        run(trainer)
        nets = (trainer.world.policy, trainer.world.critic)
        trained.append([torch.cat([p.flatten() for p in net.parameters()]) for net in nets])
    (policy, critic), (other_policy, other_critic) = trained
    assert torch.allclose(critic, other_critic, atol=1e-4), "to rounding: V is added to GAE and taken off again"
    assert not torch.equal(policy, other_policy)


def test_a_tether_needs_other_answers():
    alone = Toggles(group_sampling=False)
    with pytest.raises(ValueError, match="other answers"):
        assemble(alone, Settings(), {"values": "tether"})
    assemble(alone, Settings(), {"values": "gated"})


# --- reduction ---

LOSS = torch.tensor([[1.0, 9.0, 9.0], [3.0, 3.0, 9.0]])
MASK = torch.tensor([[True, False, False], [True, True, False]])


def test_sums_normalised_by_length_by_hand():
    """Lengths 1 and 2, sums 1 and 6, mean length 1.5. Power 1: weights 2/3 and 1/3; power 0: token mean."""
    assert length_normalised_mean(LOSS, MASK, 1.0).item() == pytest.approx((2 / 3 * 1 + 1 / 3 * 6) / 1.5)
    assert length_normalised_mean(LOSS, MASK, 0.0).item() == pytest.approx(token_mean(LOSS, MASK).item()) == 7 / 3
    half = 2**-0.5
    by_hand = (1 / (1 + half) * 1 + half / (1 + half) * 6) / 1.5
    assert length_normalised_mean(LOSS, MASK, 0.5).item() == pytest.approx(by_hand)


def test_at_equal_lengths_every_power_is_token_mean():
    both = torch.ones(2, 3, dtype=torch.bool)
    for power in (0.0, 0.75, 1.0):
        found = length_normalised_mean(LOSS, both, power)
        assert found.item() == pytest.approx(token_mean(LOSS, both).item())
        assert found.item() == pytest.approx(sequence_mean(LOSS, both).item())


def test_its_weights_are_the_same_map():
    reduce = VARIANTS["token_level_loss"]["length_normalised"](Settings())
    weights = linear_weights(reduce, LOSS, MASK)
    assert (weights * LOSS).sum().item() == pytest.approx(length_normalised_mean(LOSS, MASK, 0.75).item())
    assert (weights[~MASK] == 0).all()


# --- one sign alone ---


def test_only_one_sign_teaches():
    """Advantages 0, 1, 2 have mean 1 and variance 1: normalised -1, 0, 1."""
    x, mask = torch.tensor([[0.0, 1.0, 2.0, 7.0]]), torch.tensor([[True, True, True, False]])
    up, down = (VARIANTS["whiten"][f"{name}_only"](Settings())(x, mask) for name in ("positive", "negative"))
    assert torch.allclose(up, torch.tensor([[0.0, 0.0, 1.0, 0.0]]), atol=1e-6)
    assert torch.allclose(down, torch.tensor([[-1.0, 0.0, 0.0, 0.0]]), atol=1e-6)
    raw = VARIANTS["whiten"]["negative_only"](Settings(whitening=False))(x - 1, mask)
    assert raw[0, :3].tolist() == [-1.0, 0.0, 0.0]


# --- rewards by coin ---


def test_a_coin_takes_the_place_of_the_verdict():
    """At 1 half of the answers are called right, whatever they are; at 0.5 a quarter of the wrong and three of the right."""
    plain, random, half = (Walk(WalkDials(random_reward=p)) for p in (0.0, 1.0, 0.5))
    rng = np.random.default_rng(0)
    problems = plain.sample(rng, 400, "train")
    letters = {"l": 0, "r": 1, ".": 2}
    right = [tuple(letters[c] for c in plain.demonstration(p, rng)) for p in problems]
    wrong = [(2,)] * len(problems)
    luck = (np.arange(400) + 0.5) / 400

    def share(walk, actions):
        answers = [WalkPath(a, u) for a, u in zip(actions, luck.tolist(), strict=True)]
        return np.mean([grade.reward for grade in walk.verify_all(problems, answers)])

    assert (share(plain, right), share(plain, wrong)) == (1.0, 0.0)
    assert (share(random, right), share(random, wrong)) == (0.5, 0.5)
    assert (share(half, right), share(half, wrong)) == (0.75, 0.25)


def test_exact_values_stay_those_of_the_task():
    plain, random = Walk(WalkDials()), Walk(WalkDials(random_reward=1.0))
    assert np.array_equal(plain.stop_reward, random.stop_reward)
    with pytest.raises(ValidationError, match="same draw"):
        WalkDials(random_reward=0.5, trap_reward=0.5)


def test_a_dial_that_is_not_used_moves_no_name():
    assert spec_for("vapo", "walk", 0).hash == spec_for("vapo", "walk", 0, task=TaskSpec(name="walk")).hash
    used = spec_for("vapo", "walk", 0, task=TaskSpec(name="walk", dials={"random_reward": 1.0}))
    assert used.hash != spec_for("vapo", "walk", 0).hash
