"""Credit by steps of reasoning, and Monte-Carlo values at their boundaries (recipe vineppo)."""

import numpy as np
import pytest
import torch

from tests.support.full_table import exact_values
from tests.support.worlds import run, small_spec, trainer_of
from vapo_core.functional.advantages import gae
from vapo_core.oracles.monte_carlo import step_start_values
from vapo_core.settings import Settings
from vapo_core.slots.credit import VARIANTS, by_step, critic_gae, segment_level, step_level, vine
from vapo_core.types import Batch


def batch_of(step: list[list[int]], mask: list[list[int]], rewards: list[float]) -> Batch:
    m = torch.tensor(mask).bool()
    zeros = torch.zeros(m.shape, dtype=torch.double)
    r = torch.tensor(rewards, dtype=torch.double)
    return Batch({}, m, zeros, zeros, r, r == 1, torch.arange(len(m)), torch.tensor(step))


BATCH = batch_of([[0, 0, 1, 1, 2], [0, 1, 1, 0, 0]], [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], [1.0, 0.0])
VALUES = torch.tensor([[0.2, 0.9, 0.5, 0.9, 0.8], [0.4, 0.1, 0.9, 0.9, 0.9]], dtype=torch.double)


def test_a_step_is_valued_by_its_first_token():
    found, exists = by_step(VALUES, BATCH.step, BATCH.mask)
    assert exists.tolist() == [[True, True, True], [True, True, False]]
    assert found[0].tolist() == [0.2, 0.5, 0.8]
    assert found[1, :2].tolist() == [0.4, 0.1]


def test_step_advantages_by_hand():
    """lambda 0: differences of step values, the reward after the last; shared by the step's tokens."""
    lam = torch.zeros(2, dtype=torch.double)
    advantages, _ = step_level(BATCH, VALUES, lam, lam)
    expected = torch.tensor([[0.3, 0.3, 0.3, 0.3, 0.2], [-0.3, -0.1, -0.1, 0.0, 0.0]], dtype=torch.double)
    torch.testing.assert_close(advantages, expected)
    torch.testing.assert_close(vine(BATCH, VALUES, torch.ones(2), lam)[0], expected)


def test_segments_by_hand():
    """Five single-token steps by twos are three segments: as BATCH's first row, whose steps have two tokens; one is no change."""
    alone = batch_of([[0, 1, 2, 3, 4]], [[1] * 5], [1.0])
    lam = torch.full((1,), 0.6, dtype=torch.double)
    pairs, targets = VARIANTS["segment_level"](Settings(segment_steps=2)).assign(alone, VALUES[:1], lam, lam)
    by_hand = [0.3 + 0.6 * (0.3 + 0.6 * 0.2), 0.3 + 0.6 * 0.2, 0.2]
    torch.testing.assert_close(pairs[0], torch.tensor(by_hand, dtype=torch.double)[[0, 0, 1, 1, 2]])
    singles, same = segment_level(1, alone, VALUES[:1], lam, lam)
    torch.testing.assert_close(singles, step_level(alone, VALUES[:1], lam, lam)[0])
    torch.testing.assert_close(targets, same)


def test_lambda_one_is_reward_minus_the_steps_value():
    one = torch.ones(2, dtype=torch.double)
    advantages, _ = step_level(BATCH, VALUES, one, one)
    torch.testing.assert_close(advantages[0], torch.tensor([0.8, 0.8, 0.5, 0.5, 0.2], dtype=torch.double))


def test_one_token_per_step_is_token_level_gae():
    """The limit in which the two are the same rule."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(7) < torch.tensor([[7], [3], [5]])
    step = torch.arange(7).expand(3, 7)
    values = torch.rand(3, 7, generator=generator, dtype=torch.double)
    batch = batch_of(step.tolist(), mask.int().tolist(), [1.0, 0.0, 1.0])
    lam = torch.tensor([0.3, 0.9, 1.0], dtype=torch.double)
    by_steps, targets = step_level(batch, values, lam, lam)
    by_tokens, same = critic_gae(batch, values, lam, lam)
    torch.testing.assert_close(by_steps, by_tokens)
    torch.testing.assert_close(targets, same)


def test_flat_values_within_steps_make_matched_horizons_agree_at_the_boundaries():
    """h7b: with lambda_step = lambda_token^m and values flat within a step, a step's last token has the step's advantage."""
    m, lam = 3, 0.9
    step = torch.arange(12).div(m, rounding_mode="floor").expand(1, 12)
    values = torch.rand(1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    flat = values.repeat_interleave(m, dim=1)
    batch = batch_of(step.tolist(), [[1] * 12], [1.0])
    rewards = torch.zeros(1, 12, dtype=torch.double)
    rewards[0, -1] = 1.0
    tokens = gae(rewards, flat, batch.mask, lam)
    steps, _ = step_level(batch, flat, torch.tensor([lam**m], dtype=torch.double), torch.ones(1, dtype=torch.double))
    torch.testing.assert_close(tokens[0, m - 1 :: m], steps[0, m - 1 :: m])


@pytest.mark.parametrize(
    "dials", [{"size": 8, "horizon": 12}, {"size": 8, "horizon": 12, "filler": 2, "trap_reward": 0.4}]
)
def test_walk_step_values_are_unbiased_for_the_exact_ones(dials, cache):
    trainer = trainer_of(small_spec("walk", "vineppo", dials=dials), cache)
    world, problems = trainer.world, trainer.pool
    rollout = world.engine.generate(problems, 1, 1)
    batch = Batch.ungraded(rollout)
    found, tokens = step_start_values(world, batch, problems, 2000, 3)
    exact = exact_values(world).detach()[batch.inputs["decision"], batch.inputs["state"]]
    decisions = batch.mask & (batch.inputs["phase"] == 0)
    assert float((found - exact)[decisions].abs().max()) < 0.06
    assert tokens > 2000 * int(decisions.sum())
    filler = batch.mask & (batch.inputs["phase"] > 0)
    if filler.any():  # filler is valued by the decision it belongs to
        shifted = torch.nn.functional.pad(found[:, :-1], (1, 0))
        first_filler = filler & (batch.inputs["phase"] == 1)
        assert torch.equal(found[first_filler], shifted[first_filler])


def test_text_step_values_agree_with_the_oracle_for_single_prefixes(cache):
    """Grouped continuation gives each boundary the value that fresh samples from that very prefix have."""
    trainer = trainer_of(small_spec("lm", "vineppo"), cache)
    world, problems = trainer.world, trainer.pool[:6]
    rollout = world.engine.generate(problems, 1, 1)
    batch = Batch.ungraded(rollout)
    values, tokens = step_start_values(world, batch, problems, 64, 3)
    again, _ = step_start_values(world, batch, problems, 64, 4)
    starts = batch.mask & (torch.nn.functional.pad(batch.step[:, :-1], (1, 0), value=-1) != batch.step)
    assert tokens > 0
    assert int(starts.sum()) < int(batch.mask.sum())  # moves have two tokens, so steps are fewer
    assert float((values - again)[starts].abs().max()) < 0.4  # two estimates of K = 64: sd of the difference <= 0.09
    inside = batch.mask & ~starts
    previous = torch.nn.functional.pad(values[:, :-1], (1, 0))
    assert torch.equal(values[inside], previous[inside])


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_vineppo_learns_without_a_critic_and_charges_its_continuations(world, cache):
    vine_points = run(trainer_of(small_spec(world, "vineppo", steps=2), cache))
    ppo_points = run(trainer_of(small_spec(world, "ppo", steps=2), cache))
    assert vine_points[-1][1]["tokens/generated"] > 3 * ppo_points[-1][1]["tokens/generated"]
    assert vine_points[-1][1]["critic/vf_loss"] == 0.0
    assert np.isfinite(vine_points[-1][1]["actor/grad_norm"])


def test_text_steps_end_where_the_task_says(cache):
    """Two characters per move: tokens 0 and 1 are step 0, 2 and 3 step 1; the stop token opens the last step."""
    world = trainer_of(small_spec("lm"), cache).world
    rollout = world.engine.generate(world.task.problems["train"][:8], 4, 5)
    for row, text in enumerate(rollout.responses):
        length = int(rollout.mask[row].sum())
        if world.task.verify(world.task.problems["train"][0], text).parsed and not rollout.truncated[row]:
            assert rollout.step[row, :length].tolist() == [i // 2 for i in range(length)]
