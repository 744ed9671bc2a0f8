"""The seven components, their baselines and named variants, by hand."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

import vapo_core.components as rooms
from vapo_core import settings
from vapo_core.components import (
    clip_higher,
    decoupled_gae,
    group_sampling,
    length_adaptive_gae,
    positive_lm_loss,
    token_level_loss,
    value_pretraining,
)
from vapo_core.functional.advantages import gae
from vapo_core.recipe import COMPONENTS, RECIPES, VARIANTS, Recipe, Settings, Toggles, assemble
from vapo_core.slots import credit
from vapo_core.types import Batch

NAMES = {
    "value_pretraining",
    "decoupled_gae",
    "length_adaptive_gae",
    "token_level_loss",
    "clip_higher",
    "positive_lm_loss",
    "group_sampling",
}
PAPER = Settings()
SMALL = Settings(responses_per_step=12, group_size=4, mini_batches=1)


def lengths(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def graded(rewards, mask, group=None):
    mask = torch.tensor(mask).bool()
    zeros = torch.zeros(mask.shape, dtype=torch.float64)
    rewards = torch.tensor(rewards, dtype=torch.float64)
    group = torch.arange(len(mask)) if group is None else torch.tensor(group)
    return Batch({}, mask, zeros, zeros, rewards, rewards == 1, group, mask.cumsum(1) - 1)


# --- one vocabulary ---


def test_the_seven_names_are_the_same_everywhere():
    """A component under two names would be toggled in one place and recorded in another."""
    files = {p.stem for p in Path(rooms.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(COMPONENTS) == set(Toggles.model_fields) == set(settings.COMPONENTS) == NAMES
    assert {f.name for f in fields(Recipe)} >= NAMES
    assert all(COMPONENTS[name].__name__.endswith(f".{name}") for name in NAMES)


def test_every_toggle_fills_its_own_slot_and_no_other():
    """A toggle wired to a neighbour's slot, or to none, would make the ablation meaningless."""
    for name in NAMES:
        on, off = (assemble(Toggles(**{**dict.fromkeys(NAMES, True), name: flag}), PAPER) for flag in (True, False))
        assert fingerprint(on)[name] != fingerprint(off)[name]
        changed = {slot for slot, seen in fingerprint(on).items() if fingerprint(off)[slot] != seen}
        assert changed == {name}


def fingerprint(recipe):
    """What each component's slot does to one example, as plain numbers."""
    loss, mask = double([1.0, 0], [3, 3]), torch.tensor([[True, False], [True, True]])
    return {
        "value_pretraining": recipe.value_pretraining,
        "decoupled_gae": recipe.decoupled_gae(lengths(0.3)).tolist(),
        "length_adaptive_gae": recipe.length_adaptive_gae(lengths(40, 4000)).tolist(),
        "token_level_loss": float(recipe.token_level_loss(loss, mask)),
        "clip_higher": recipe.clip_higher.bounds(loss),
        "positive_lm_loss": float(recipe.positive_lm_loss(-loss, mask, torch.tensor([False, True]))),
        "group_sampling": tuple(recipe.group_sampling),
    }


def test_fingerprint_of_vapo_and_ppo_by_hand():
    """The paper's numbers, on and off, in one table."""
    vapo = fingerprint(assemble(Toggles(), PAPER))
    ppo = fingerprint(assemble(RECIPES["ppo"].toggles, PAPER))
    assert (vapo["value_pretraining"], ppo["value_pretraining"]) == (50, 0)
    assert (vapo["decoupled_gae"], ppo["decoupled_gae"]) == ([1.0], [0.3])
    assert vapo["length_adaptive_gae"] == pytest.approx([0.5, 0.995])
    assert ppo["length_adaptive_gae"] == pytest.approx([0.95, 0.95])
    assert (vapo["token_level_loss"], ppo["token_level_loss"]) == (pytest.approx(7 / 3), 2.0)
    assert (vapo["clip_higher"], ppo["clip_higher"]) == ((0.2, 0.28), (0.2, 0.2))
    assert (vapo["positive_lm_loss"], ppo["positive_lm_loss"]) == (pytest.approx(0.3), 0.0)
    assert (vapo["group_sampling"], ppo["group_sampling"]) == ((512, 16), (8192, 1))


# --- each component ---


@pytest.mark.parametrize(
    ("alpha", "length", "lam"),
    [
        (0.05, 400, 0.95),
        (0.05, 2000, 0.99),
        (0.05, 32, 0.375),
        (0.05, 100, 0.80),
        (0.05, 4000, 0.995),
        (0.05, 20, 0.0),
        (0.05, 10, 0.0),
        (0.4, 4, 0.375),
        (0.4, 40, 0.9375),
        (0.4, 3, 1 / 6),
        (0.4, 2, 0.0),
        (1.5, 1, 1 / 3),
    ],
)
def test_length_adaptive_lambda_by_hand(alpha, length, lam):
    """Lengths that do not clamp tell the formula from others; lengths that do must give 0, never a negative lambda."""
    rule = length_adaptive_gae.on(PAPER.model_copy(update={"alpha": alpha}))
    assert float(rule(torch.tensor([length]))[0]) == pytest.approx(lam, abs=1e-6)


def test_length_adaptive_lambda_makes_the_total_weight_alpha_l():
    """The rule's purpose: sum over all t of lambda^t = 1 / (1 - lambda) = alpha l."""
    length = lengths(100, 700, 5000)
    lam = length_adaptive_gae.on(PAPER)(length)
    torch.testing.assert_close(1 / (1 - lam), 0.05 * length)


def test_length_adaptive_worked_example_through_the_recipe():
    """alpha .4, l = 3, V = .2 .5 .8, R = 1: from the mask's length to the advantages of FACTS."""
    recipe = assemble(Toggles(), SMALL.model_copy(update={"alpha": 0.4, "whitening": False}))
    batch = graded([1.0], [[1, 0, 1, 1]])
    lam = recipe.length_adaptive_gae(batch.lengths)
    values = double([0.2, 999, 0.5, 0.8])
    advantages, targets = recipe.credit.assign(batch, values, lam, recipe.decoupled_gae(lam))
    torch.testing.assert_close(advantages, double([0.35556, 0, 0.33333, 0.2]), rtol=0, atol=1e-5)
    torch.testing.assert_close(targets, double([1.0, 0, 1, 1]), rtol=0, atol=1e-7)


def test_fixed_lambda_is_the_same_at_every_length():
    """Off is PPO's constant, untouched by length."""
    assert length_adaptive_gae.off(PAPER)(torch.tensor([1, 10, 4000])).tolist() == pytest.approx([0.95] * 3)


def test_decoupled_gae_by_hand():
    """On: lambda_critic for all; off: the policy's own lambda, response by response."""
    lam = lengths(0.0, 0.4)
    assert decoupled_gae.on(PAPER.model_copy(update={"lambda_critic": 0.9}))(lam).tolist() == [0.9, 0.9]
    assert decoupled_gae.off(PAPER)(lam).tolist() == [0.0, 0.4]


def test_coupled_targets_are_lambda_returns():
    """Off, at lambda 0, targets bootstrap from the next value; on, they are the return."""
    batch, values = graded([5.0], [[1, 1, 1]]), double([1.0, 2, 3])
    zero, one = lengths(0.0), lengths(1.0)
    assert credit.critic_gae(batch, values, zero, zero)[1].tolist() == [[2, 3, 5]]
    assert credit.critic_gae(batch, values, zero, one)[1].tolist() == [[5, 5, 5]]
    assert credit.critic_gae(batch, values, zero, one)[0].tolist() == [[1, 1, 2]]


def test_token_level_loss_by_hand():
    """[1] and [3, 3]: 7/3 on, 2 off, 7 / (2 * 5) with the constant normaliser."""
    loss, mask = double([1.0, 0], [3, 3]), torch.tensor([[True, False], [True, True]])
    assert float(token_level_loss.on(PAPER)(loss, mask)) == pytest.approx(7 / 3)
    assert float(token_level_loss.off(PAPER)(loss, mask)) == 2.0
    constant = VARIANTS["token_level_loss"]["constant_mean"](PAPER.model_copy(update={"normaliser_tokens": 5}))
    assert float(constant(loss, mask)) == pytest.approx(0.7)


def test_clip_higher_by_hand():
    """On widens the upper bound alone; off is symmetric."""
    s = PAPER.model_copy(update={"clip_low": 0.1, "clip_high": 0.5})
    assert clip_higher.on(s).bounds(double([1.0])) == (0.1, 0.5)
    assert clip_higher.off(s).bounds(double([1.0])) == (0.1, 0.1)


def test_above_threshold_widens_only_where_the_advantage_exceeds_it():
    """As the limitations paper (Shao et al. 2025) reads it: advantages at or below the threshold keep the symmetric clip."""
    clip = VARIANTS["clip_higher"]["above_threshold"](PAPER)
    low, high = clip.bounds(double([-1.0, 0.0, 0.5, 0.51, 3.0]))
    assert low == 0.2
    torch.testing.assert_close(high, double([0.2, 0.2, 0.2, 0.28, 0.28]))


def test_positive_lm_loss_by_hand():
    """mu times the mean of -log pi over tokens of correct answers: 0.5 (2 + 4) / 2; off: nothing."""
    args = double([-2.0, -4], [-8, -8]), torch.ones(2, 2).bool(), torch.tensor([True, False])
    assert float(positive_lm_loss.on(PAPER.model_copy(update={"mu": 0.5}))(*args)) == 1.5
    assert float(positive_lm_loss.off(PAPER)(*args)) == 0.0


def test_value_pretraining_by_hand():
    """On takes the setting's steps, off none."""
    s = PAPER.model_copy(update={"warmup_steps": 7})
    assert (value_pretraining.on(s), value_pretraining.off(s)) == (7, 0)


@pytest.mark.parametrize("choose", [group_sampling.on, group_sampling.off, *group_sampling.VARIANTS.values()])
@pytest.mark.parametrize(("responses", "group"), [(12, 4), (12, 12), (12, 1), (64, 16)])
def test_group_sampling_keeps_the_number_of_responses(choose, responses, group):
    """Arms that sample more responses would be compared at unequal cost."""
    plan = choose(Settings(responses_per_step=responses, group_size=group, mini_batches=1))
    assert plan.prompts * plan.answers == responses
    assert plan.answers == (1 if choose is group_sampling.off else group)


# --- errors ---


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ({"clip_highr": "above_threshold"}, "clip_higher"),
        ({"clip_higher": "above_treshold"}, "above_threshold"),
        ({"decoupled_gae": "anything"}, "allowed: none"),
    ],
)
def test_unknown_names_are_errors_that_help(variants, said):
    """A mistyped variant silently ignored would run the default under a wrong label."""
    with pytest.raises(ValueError, match=said):
        assemble(Toggles(), PAPER, variants)


def test_group_relative_credit_needs_a_group():
    """One answer per prompt has nothing to be compared with; the error comes when the recipe is assembled."""
    with pytest.raises(ValueError, match="group_relative"):
        assemble(Toggles(group_sampling=False), PAPER, {"credit": "group_relative"})
    with pytest.raises(ValueError, match="group_relative"):
        assemble(Toggles(), PAPER.model_copy(update={"group_size": 1}), {"credit": "group_relative"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"responses_per_step": 10, "group_size": 4},
        {"responses_per_step": 8, "group_size": 4, "mini_batches": 4, "micro_batches": 4},
        {"reward_low": 1.0, "reward_high": 1.0},
        {"alpha": 0.0},
        {"alpha": float("nan")},
        {"lambda_critic": 1.5},
        {"clip_low": 1.0},
        {"mu": -0.1},
        {"mew": 0.1},
    ],
    ids=str,
)
def test_settings_refuse_what_means_nothing(wrong):
    """An impossible number or an unknown key must stop the run before it starts."""
    with pytest.raises(ValueError, match="validation error"):
        Settings(**wrong)


def test_defaults_are_the_papers():
    """The paper's numbers of section 5.1, which the presets deviate from knowingly."""
    s = Settings()
    assert (s.responses_per_step, s.group_size, s.alpha, s.fixed_lambda, s.lambda_critic) == (8192, 16, 0.05, 0.95, 1.0)
    assert (s.clip_low, s.clip_high, s.mu, s.warmup_steps, s.policy_lr, s.critic_lr) == (0.2, 0.28, 0.1, 50, 1e-6, 2e-6)
    assert s.responses_per_step // s.mini_batches == 512


def test_lambda_one_ignores_an_early_value_error_and_vapos_lambda_does_not():
    """What the component trades: at lambda below 1 an error in a later value reaches an earlier token."""
    r, v = double([0.0, 0, 1]).repeat(2, 1), double([0.5, 0.5, 0.5], [0.5, 0.9, 0.5])
    mask = torch.ones(2, 3).bool()
    adaptive = length_adaptive_gae.on(PAPER.model_copy(update={"alpha": 0.4}))(mask.sum(1))
    assert np.ptp(gae(r, v, mask, 1.0)[:, 0].numpy()) == pytest.approx(0, abs=1e-12)
    assert np.ptp(gae(r, v, mask, adaptive)[:, 0].numpy()) == pytest.approx(0.4 * (1 - 1 / 6), abs=1e-6)
