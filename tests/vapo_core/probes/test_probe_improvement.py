"""What an update promises beside what it does, exact in the walk."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.worlds import view_of
from vapo_core.functional.losses import clipped_surrogate, nll, token_mean
from vapo_core.probes import improvement
from vapo_core.probes.fresh import Whitening, fresh_batch
from vapo_core.probes.improvement import Step, compare, predicted_gain, shift_bound, true_advantages
from vapo_core.probes.policy_shift import updated_policy

PLAIN = {"fixed_lambda": 1.0, "mu": 0.0}
"""With recipe ppo and token mean nothing but the critic's baseline stands between the objective and grad J."""


def moved(view, direction: torch.Tensor, length: float) -> nn.Module:
    """The policy a step of this length along a direction."""
    after = copy.deepcopy(view.world.policy)
    here = nn.utils.parameters_to_vector(after.parameters()).detach()
    nn.utils.vector_to_parameters(here + length * direction / direction.norm(), after.parameters())
    return after


def found(measurement) -> dict[str, float]:
    return {name.removeprefix("improvement/"): x for name, x in measurement.metrics.items()}


def with_token_mean(view):
    return replace(view, recipe=replace(view.recipe, token_level_loss=token_mean))


def test_a_tiny_step_along_the_exact_gradient_has_slope_one(cache, monkeypatch):
    """Delta J, the true surrogate and the recipe's own prediction agree to first order; no shift is left."""
    monkeypatch.setattr(improvement, "RESPONSES", 8192)
    view = with_token_mean(view_of("walk", cache, "ppo", numbers=PLAIN))
    numbers = found(compare(view, moved(view, view.world.exact_gradient(view.pool), 0.02), "test"))
    assert numbers["delta_j"] > 0
    for name in ("surrogate", "predicted"):
        slope, error = numbers["delta_j"] / numbers[name], numbers[f"{name}_se"] / numbers[name]
        assert error < 0.06
        assert abs(slope - 1) < 3 * error + 0.03
    assert abs(numbers["shift"]) < 3 * numbers["surrogate_se"] + 0.03 * numbers["delta_j"]


def test_the_split_adds_up_and_the_shift_keeps_to_its_bound(cache):
    numbers = found(improvement.measure(view_of("walk", cache)))
    split = numbers["objective_gap"] + numbers["shift"]
    assert numbers["delta_j"] - numbers["predicted"] == pytest.approx(split, abs=1e-9)
    assert abs(numbers["shift"]) < numbers["bound_seen"]


def test_the_shift_of_a_long_step_is_seen(cache):
    """Twenty times further along the gradient, old states no longer tell the whole change of J."""
    view = view_of("walk", cache, "ppo", numbers=PLAIN)
    numbers = found(compare(view, moved(view, view.world.exact_gradient(view.pool), 2.0), "test"))
    assert abs(numbers["shift"]) > 4 * numbers["surrogate_se"]
    assert abs(numbers["shift"]) < numbers["bound_seen"]


def test_a_sign_flipped_update_reads_negative(cache):
    """Truth, true surrogate and prediction all see it. Without the positive-example loss, whose sign would stay."""
    view = view_of("walk", cache, numbers={"responses_per_step": 256, "mu": 0.0})
    flipped = replace(view.recipe, whiten=lambda x, mask: -view.recipe.whiten(x, mask))
    numbers = found(compare(view, updated_policy(replace(view, recipe=flipped), "test"), "test"))
    assert max(numbers[name] for name in ("delta_j", "surrogate", "predicted")) < 0


def test_the_same_policy_changes_nothing(cache):
    for world in ("walk", "lm"):
        view = view_of(world, cache)
        numbers = found(compare(view, copy.deepcopy(view.world.policy), "test"))
        for name in ("delta_j", "predicted", "tv", "surrogate", "shift", "bound_seen"):
            assert numbers.get(name, 0.0) == pytest.approx(0, abs=1e-7)


def test_text_has_the_paired_change_and_no_true_advantages(cache):
    numbers = found(improvement.measure(view_of("lm", cache)))
    assert set(numbers) == {"tv", "predicted", "predicted_se", "delta_j", "delta_j_se"}
    assert numbers["delta_j_se"] > 0


def test_predicted_gain_is_the_fall_of_the_recipes_loss(cache):
    """Up to whitening's scale and the mean length; clip, positive-example loss and entropy bonus included."""
    view = view_of("walk", cache, numbers={"entropy_coef": 0.3, "reward_low": -1.0})
    fresh, white = fresh_batch(view, view.recipe, 32, "test"), Whitening(2.0, -0.1)
    mask, correct = fresh.batch.mask, fresh.batch.correct
    assert correct.any()
    after = moved(view, view.world.exact_gradient(view.pool), 3.0)
    with torch.no_grad():
        step = Step(*view.world.policy(fresh.batch), *after(fresh.batch))
    assert (step.ratio > 1.28).any()
    assert (step.ratio < 0.8).any()

    def loss(logp: torch.Tensor, entropy: torch.Tensor) -> torch.Tensor:
        surrogate = clipped_surrogate((logp - step.logp_old).exp(), white(fresh), 0.2, 0.28)
        return token_mean(surrogate, mask) + 0.1 * nll(logp, mask, correct) - 0.3 * token_mean(entropy, mask)

    fall = loss(step.logp_old, step.entropy_old) - loss(step.logp, step.entropy)
    per_response = fall * mask.sum() / len(mask) / (2.0 * 2.0)  # whitening's scale, and rewards from -1 to 1
    torch.testing.assert_close(predicted_gain(view, fresh, white, step).mean(), per_response, atol=1e-6, rtol=1e-4)


def test_true_advantages_average_to_zero_and_telescope(cache):
    """Their sum over a response is R - V(start)."""
    view = view_of("walk", cache)
    fresh = fresh_batch(view, view.recipe, 512, "test")
    advantages = true_advantages(view, fresh)
    starts = torch.as_tensor(view.world.exact_at(fresh.batch, np.arange(512), np.zeros(512, int)))
    torch.testing.assert_close(advantages.sum(1), fresh.rewards.float() - starts.float(), atol=1e-5, rtol=1e-4)
    tokens = advantages[fresh.batch.mask]
    assert abs(float(tokens.mean())) < 4 * float(tokens.std()) / len(tokens) ** 0.5


def test_the_bound_by_hand():
    """R8: TV 0.1 at 0.2 / 0.2, so above 1 from 8 tokens on; 0.117 at 0.2 / 0.28, from 7."""
    assert shift_bound(0.2, 0.2, 8, 1.0) == pytest.approx(2 * 8 * 7 * 0.01)
    assert [shift_bound(0.2, 0.2, n, 1.0) > 1 for n in (7, 8)] == [False, True]
    assert [shift_bound(0.2, 0.28, n, 1.0) > 1 for n in (6, 7)] == [False, True]
    assert shift_bound(0.0, 0.0, 8, 1.0) == 0
