"""The Monte-Carlo oracle's estimators by simulation with known truth, and the learned critic held against it."""

import numpy as np
import pytest

from tests.worlds import small_spec, trainer_of
from vapo_core.oracles.monte_carlo import best_by_group_mse, best_constant_mse, text_values, value_mse
from vapo_core.settings import SCALES


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("k", [2, 16])
def test_value_mse_is_unbiased_for_any_reward_values(low, high, k):
    """A critic with known error reads that error, not error plus continuation noise."""
    rng = np.random.default_rng(0)
    p = rng.beta(1, 3, size=40_000)
    returns = np.where(rng.random((len(p), k)) < p[:, None], high, low)
    truth = low + (high - low) * p
    critic = truth + rng.normal(0, 0.2, len(p))
    assert value_mse(critic, returns) == pytest.approx(0.04, abs=0.003 * (high - low))
    assert value_mse(truth, returns) == pytest.approx(0.0, abs=0.003 * (high - low))


def test_value_mse_of_minus_one_plus_one_rewards_by_hand():
    """METHODS section 3: the 0/1 shortcut reads 0.098 for a true 0.032 with -1/+1 rewards; ours must not."""
    rng = np.random.default_rng(1)
    p, k = rng.uniform(0.05, 0.95, 60_000), 16
    returns = np.where(rng.random((len(p), k)) < p[:, None], 1.0, -1.0)
    critic = 2 * p - 1 + rng.normal(0, np.sqrt(0.032), len(p))
    assert value_mse(critic, returns) == pytest.approx(0.032, abs=0.002)


def test_best_by_group_is_the_within_group_variance():
    """Two groups with known spread of V inside; the constant leaves the whole variance, the group only the inside."""
    rng = np.random.default_rng(2)
    group = rng.integers(2, size=60_000)
    p = np.where(group == 0, rng.uniform(0.1, 0.3, len(group)), rng.uniform(0.5, 0.9, len(group)))
    returns = (rng.random((len(p), 8)) < p[:, None]).astype(float)
    inside = 0.5 * (0.2**2 / 12 + 0.4**2 / 12)
    assert best_by_group_mse(returns, group) == pytest.approx(inside, abs=0.001)
    assert best_constant_mse(returns) == pytest.approx(p.var(), abs=0.002)


def test_oracle_reads_only_and_repeats(cache):
    """Same seed, same values; weights untouched."""
    world = trainer_of(small_spec("lm"), cache).world
    problems = world.task.problems["train"][:12]
    rollout = world.engine.generate(problems, 1, seed=1)
    before = [p.clone() for p in world.policy.parameters()]
    first = text_values(world, problems, rollout, 20, 4, seed=7)
    again = text_values(world, problems, rollout, 20, 4, seed=7)
    assert np.array_equal(first.returns, again.returns)
    assert all((a == b).all() for a, b in zip(before, world.policy.parameters(), strict=True))


@pytest.mark.slow
def test_learned_critic_beats_best_constant_and_best_position_only_critic(cache):
    """On the text walk the state is visible, so value pretraining explains more of V than any position can."""
    spec = small_spec("lm", steps=1, numbers=SCALES["lm"].model_dump() | {"warmup_steps": 20})
    trainer = trainer_of(spec, cache)
    trainer.steps = 0
    trainer.run(lambda step, metrics: None)
    world, rng = trainer.world, np.random.default_rng(5)
    problems = world.task.sample(rng, 256, "held_out")
    rollout = world.engine.generate(problems, 1, seed=21)
    found = text_values(world, problems, rollout, number=400, continuations=16, seed=3)
    critic = value_mse(found.critic, found.returns)
    assert critic < 0.75 * best_by_group_mse(found.returns, found.time)
    assert critic < 0.75 * best_constant_mse(found.returns)
