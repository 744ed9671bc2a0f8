"""A planted value error is frozen, of the size asked for, and reaches advantages alone."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.support.worlds import run, small_spec, trainer_of, view_of
from vapo_core.recipe import assemble
from vapo_core.settings import RECIPES
from vapo_core.slots.value_noise import VARIANTS, frozen_normal
from vapo_core.training.update import assign_credit
from vapo_core.types import Batch

KINDS = ("state_error", "position_error", "fresh_error")
FIXED = {"fixed_length": True, "size": 8, "horizon": 10}


def errors(view, batch: Batch, kind: str, size: float = 0.1, seed: int = 0) -> torch.Tensor:
    settings = view.settings.model_copy(update={"value_error_sd": size})
    values = VARIANTS[kind](settings)(view.world, batch, [], settings, seed).values
    return values - view.world.critic(batch).detach()


def sampled(view, answers: int = 4, seed: int = 3) -> Batch:
    problems = view.pool
    return Batch.ungraded(view.world.engine.generate(problems, answers, seed))


@pytest.mark.parametrize("world", ["walk", "lm"])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_have_the_size_asked_for_and_none_on_padding(world, kind, cache):
    view = view_of(world, cache)
    batch = sampled(view, 16)
    found = errors(view, batch, kind)
    assert (found[~batch.mask] == 0).all()
    assert float(found[batch.mask].std()) == pytest.approx(0.1, rel=0.6 if kind == "position_error" else 0.25)
    doubled = errors(view, batch, kind, 0.2)
    torch.testing.assert_close(doubled, 2 * found, atol=1e-6, rtol=0)


def test_hashed_numbers_are_normal_and_follow_from_label_and_key():
    labels = torch.arange(200_000)
    found = frozen_normal(labels, 7)
    assert float(found.mean()) == pytest.approx(0, abs=0.01)
    assert float(found.std()) == pytest.approx(1, abs=0.01)
    assert float((found.abs() > 1.96).float().mean()) == pytest.approx(0.05, abs=0.003)
    assert abs(float((found[1:] * found[:-1]).mean())) < 0.01  # neighbours are independent
    assert abs(float((found * frozen_normal(labels, 8)).mean())) < 0.01
    assert torch.equal(found[[5, 3, 5]], frozen_normal(torch.tensor([5, 3, 5]), 7))
    assert torch.isfinite(frozen_normal(torch.tensor([-1, -(2**62), 2**62]), -3)).all()


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_a_state_error_is_one_number_per_state_and_frozen(world, cache):
    view = view_of(world, cache)
    one, other = sampled(view, seed=3), sampled(view, seed=4)
    seen: dict[int, float] = {}
    for batch, seed in ((one, 0), (other, 99)):
        labels, found = view.world.state_labels(batch), errors(view, batch, "state_error", 1.0, seed)
        for label, error in zip(labels[batch.mask].tolist(), found[batch.mask].tolist(), strict=True):
            assert seen.setdefault(label, error) == pytest.approx(error, abs=1e-5)
    assert len(seen) > 20
    assert len(set(np.round(list(seen.values()), 5))) > 0.9 * len(seen)


def test_seeds_have_errors_of_their_own(cache):
    views = [view_of("walk", cache, seed=seed) for seed in (0, 1)]
    batch = sampled(views[0])
    one, other = (errors(view, batch, "state_error", 1.0) for view in views)
    assert not torch.allclose(one, other)


def test_labels_of_text_do_not_depend_on_padding(cache):
    """A prompt and the last two tokens are a label; how far the batch is padded is not."""
    from vapo_core.training.collect import pad_to

    view = view_of("lm", cache)
    batch = sampled(view)
    lead = batch.inputs["ids"].shape[1] - batch.mask.shape[1]
    width = batch.mask.shape[1]
    padded = pad_to(batch, width + 3, lead + 2)
    labels = view.world.state_labels(batch)
    assert torch.equal(labels, view.world.state_labels(padded)[:, :width])
    ids = batch.inputs["ids"][:, lead:]
    prompts = batch.inputs["ids"][:, :lead]
    context = {}
    for row, time in batch.mask.nonzero().tolist():
        key = (tuple(prompts[row].tolist()), tuple(ids[row, max(0, time - 2) : time].tolist()), min(time, 2))
        assert context.setdefault(key, labels[row, time].item()) == labels[row, time].item()
    assert len(set(context.values())) == len(context)


def test_a_position_error_is_alike_for_all_responses(cache):
    view = view_of("walk", cache, dials=FIXED)
    found = errors(view, sampled(view), "position_error")
    torch.testing.assert_close(found, found[:1].expand_as(found), atol=1e-6, rtol=0)


def test_a_fresh_error_is_drawn_anew_at_every_step(cache):
    view = view_of("walk", cache)
    batch = sampled(view)
    assert not torch.allclose(errors(view, batch, "fresh_error", seed=0), errors(view, batch, "fresh_error", seed=1))


@pytest.mark.parametrize("kind", KINDS)
def test_targets_do_not_move_and_advantages_do_as_the_theory_says(kind, cache):
    """R1: A_hat gains -e_t + (1 - lambda) sum_k lambda^k e_{t+1+k}, and the critic's lesson is the same."""
    view, lam = view_of("walk", cache, dials=FIXED), 0.9
    numbers = view.settings.model_copy(update={"value_error_sd": 0.3, "fixed_lambda": lam, "whitening": False})
    toggles = RECIPES["vapo"].toggles.model_copy(update={"length_adaptive_gae": False})
    recipe = assemble(toggles, numbers, {"values": kind})
    batch = sampled(view)
    plain = assign_credit(batch, view.world.critic(batch).detach(), recipe)
    value_noise = assign_credit(batch, recipe.values(view.world, batch, [], numbers, 0).values, recipe)
    torch.testing.assert_close(value_noise.targets, plain.targets, atol=1e-5, rtol=0)
    error, length = errors(view, batch, kind, 0.3), batch.mask.shape[1]
    expected = -error
    for t in range(length):
        for k in range(length - t - 1):
            expected[:, t] += (1 - lam) * lam**k * error[:, t + 1 + k]
    torch.testing.assert_close(value_noise.advantages - plain.advantages, expected, atol=1e-4, rtol=0)


def test_what_would_reach_the_critic_is_refused():
    for fields in (
        {"toggles": RECIPES["vapo"].toggles.model_copy(update={"decoupled_gae": False})},
        {"numbers": {"lambda_critic": 0.9}},
        {"numbers": {"value_clip": 0.2}},
    ):
        with pytest.raises(ValidationError, match="would learn the error"):
            small_spec(variants={"values": "state_error"}, **fields)


def test_a_run_with_an_error_differs_and_one_of_size_zero_does_not(cache):
    """Same seeds: at size 0 the policy is the plain run's, bit for bit; the variant alone changes nothing."""
    finals = []
    for fields in (
        {},
        {"variants": {"values": "state_error"}},
        {"variants": {"values": "state_error"}, "numbers": {"value_error_sd": 0.3}},
    ):
        trainer = trainer_of(small_spec(steps=2, **fields), cache)
        run(trainer)
        finals.append(torch.cat([p.flatten() for p in trainer.world.policy.parameters()]))
    assert torch.equal(finals[0], finals[1])
    assert not torch.equal(finals[0], finals[2])
