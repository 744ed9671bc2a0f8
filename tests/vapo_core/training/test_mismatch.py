"""An engine that samples from something close to the policy: what is trained on, what is logged, what is corrected."""

import pytest
import torch

from tests.support.inexact_engine import InexactEngine
from tests.support.worlds import small_settings, small_spec, trainer_of
from vapo_core.functional.losses import clipped_surrogate
from vapo_core.recipe import Toggles, assemble
from vapo_core.settings import Settings
from vapo_core.slots.importance import default, truncated, weighted
from vapo_core.training.mismatch import effective_share, mismatch_metrics, recompute_logprobs
from vapo_core.types import AdvantageBatch, Batch


def test_effective_share_by_hand():
    """(sum w)^2 / (N sum w^2): equal weights count in full, one weight that dwarfs the others counts alone."""
    assert effective_share(torch.full((5,), -3.0)) == pytest.approx(1)
    assert effective_share(torch.tensor([1.0, 2.0, 3.0]).log()) == pytest.approx(36 / (3 * 14))
    assert effective_share(torch.tensor([300.0, 0.0, 0.0, 0.0])) == pytest.approx(1 / 4)  # and nothing overflows


def test_truncated_weights_by_hand():
    gap = torch.tensor([[0.0, 0.5], [1.0, -2.0]])
    expected = torch.tensor([[1.0, 1.6487], [2.0, 0.1353]])
    torch.testing.assert_close(truncated(gap, 2.0), expected, atol=1e-4, rtol=0)


def test_off_unless_asked_for():
    assert not Settings().importance_weighting
    assert torch.equal(default(Settings())(torch.tensor([[3.0]])), torch.ones(1, 1))
    on = default(Settings(importance_weighting=True, importance_cap=5.0))
    torch.testing.assert_close(on(torch.tensor([[3.0, 0.1]])), torch.tensor([[5.0, 1.10517]]))
    assert assemble(Toggles(), Settings(importance_weighting=True)).importance is not default(Settings())


def test_weights_on_advantages_are_weights_on_the_loss():
    """min(r A, clip(r) A) is homogeneous in A, so for weights of 0 or more it is the same; the value loss has no share."""
    generator = torch.Generator().manual_seed(0)
    ratio, advantages, weights = (torch.rand(4, 6, generator=generator) * 3 for _ in range(3))
    advantages = advantages - 1.5
    credited = AdvantageBatch(advantages, torch.ones(4, 6), torch.zeros(4, 6), torch.ones(4), torch.ones(4))
    after = weighted(credited, weights)
    inside = clipped_surrogate(ratio, after.advantages, 0.2, 0.28)
    torch.testing.assert_close(inside, weights * clipped_surrogate(ratio, advantages, 0.2, 0.28))
    assert after.targets is credited.targets


def run_with(world: str, cache, **numbers):
    """One step of a recipe whose engine is off; its only mini-batch is the first, so ratios there are the update's."""
    trainer = trainer_of(small_spec(world, steps=1, numbers={"mini_batches": 1, "epochs": 1, **numbers}), cache)
    trainer.world.engine = InexactEngine(trainer.world.engine)
    points = []
    trainer.run(lambda step, metrics: points.append(metrics))
    return points[-1], torch.cat([p.detach().flatten() for p in trainer.world.policy.parameters()])


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_ratios_begin_at_one_and_the_mismatch_is_logged(world, cache):
    """The policy's own log-probabilities are the old ones, so nothing is clipped that the policy did not do."""
    metrics, _ = run_with(world, cache)
    assert metrics["actor/ratio_max"] == pytest.approx(1, abs=1e-4)
    assert metrics["actor/ratio_min"] == pytest.approx(1, abs=1e-4)
    assert metrics["rollout/mismatch_max"] == pytest.approx(0.5, abs=1e-3)
    assert 0.2 < metrics["rollout/mismatch_mean"] < 0.5
    assert 0.9 < metrics["rollout/ess"] < 1
    assert metrics["rollout/ess_sequence"] < metrics["rollout/ess"]
    assert metrics["rollout/capped"] == 0  # exp(0.5) is below 2


def test_weighting_changes_the_update_and_the_cap_undoes_it(cache):
    """Weights of 1 and 1.65: with a cap of 1 all are 1, and the update is the one without weighting."""
    _, plain = run_with("walk", cache)
    _, weights = run_with("walk", cache, importance_weighting=True)
    _, capped = run_with("walk", cache, importance_weighting=True, importance_cap=1.0)
    torch.testing.assert_close(capped, plain, atol=1e-6, rtol=0)
    assert (weights - plain).abs().max() > 1e-5


def test_an_exact_engine_is_taken_at_its_word(cache):
    """No pass is spent and no metric logged where there is nothing to find."""
    trainer = trainer_of(small_spec("walk"), cache)
    graded = trainer.world.engine.generate(trainer.pool[:4], 2, 1)
    batch = Batch.ungraded(graded)
    same, gap = recompute_logprobs(batch, trainer.world.engine, trainer.policy)
    assert same is batch
    assert not gap.any()
    assert mismatch_metrics(trainer.world.engine, gap, batch.mask, 2.0) == {}


def test_settings_of_engines_that_truncate_are_refused():
    """There is no top_p: truncated samples would not be the trained policy's."""
    with pytest.raises(
        ValueError, match=r"top_p: not supported: answers are sampled from the policy's full distribution"
    ):
        small_settings("lm", top_p=0.9)
