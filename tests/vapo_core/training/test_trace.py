"""Columns of a trace: numbers by hand, limits, and that looking changes nothing."""

import copy

import numpy as np
import pytest
import torch

from tests.support.full_table import exact_values
from tests.support.worlds import small_spec, trainer_of
from vapo_core.functional.advantages import whiten
from vapo_core.recipe import RECIPES, Settings, Toggles, assemble
from vapo_core.slots.credit import terminal_rewards
from vapo_core.training.collect import pad_to
from vapo_core.training.trace import credit_columns, td_errors, trace
from vapo_core.training.update import assign_credit
from vapo_core.types import Batch

SETTINGS = Settings(alpha=0.5)
VAPO = assemble(Toggles(), SETTINGS)


def batch_of(mask: list[list[int]], rewards: list[float]) -> Batch:
    m, r = torch.tensor(mask).bool(), torch.tensor(rewards, dtype=torch.double)
    zeros = torch.zeros(m.shape, dtype=torch.double)
    step = torch.arange(m.shape[1]).expand(m.shape)
    return Batch({"at": step}, m, zeros, zeros, r, r == 1, torch.arange(len(m)) // 2, step)


def random_batch() -> tuple[Batch, torch.Tensor]:
    """Six responses of one to eleven tokens, three prompts."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([[11], [4], [1], [8], [2], [6]])
    batch = batch_of((torch.arange(11) < lengths).int().tolist(), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    return batch, torch.rand(batch.mask.shape, generator=generator, dtype=torch.double)


def traced(world="walk", recipe="vapo", answers=2, truths=99, cache=None, **fields):
    """A trace of an untrained run, with the trainer it came from."""
    trainer = trainer_of(small_spec(world, recipe, **fields), cache)
    problems = trainer.world.task.sample(np.random.default_rng(5), 3, "held_out")
    found = trace(trainer.world, trainer.recipe, trainer.settings, problems, answers, truths, seed=7)
    return trainer, problems, found


def close(found: torch.Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype))


def test_columns_by_hand():
    """lambda is 1 - 2 / l, so 1/3 for three tokens and 0 for two; the last value is masked and must not count."""
    batch = batch_of([[1, 1, 1], [1, 1, 0]], [1.0, 0.0])
    values = torch.tensor([[0.2, 0.5, 0.4], [0.6, 0.3, 0.9]], dtype=torch.double)
    found = credit_columns(batch, values, VAPO, SETTINGS)
    close(found["value"], [[0.2, 0.5, 0.4], [0.6, 0.3, 0.0]])
    close(found["td_error"], [[0.3, -0.1, 0.6], [-0.3, -0.3, 0.0]])
    close(found["advantage_1"], [[0.8, 0.5, 0.6], [-0.6, -0.3, 0.0]])
    close(found["advantage_0.95"], [[0.7465, 0.47, 0.6], [-0.585, -0.3, 0.0]])
    close(found["advantage_adaptive"], [[1 / 3, 0.1, 0.6], [-0.3, -0.3, 0.0]])
    close(found["advantage_own"], [[1 / 3, 0.1, 0.6], [-0.3, -0.3, 0.0]])


def test_both_ends_of_lambda():
    """At 0 the advantage is the TD error, at 1 the return minus the value."""
    batch, values = random_batch()
    found = credit_columns(batch, values, VAPO, SETTINGS)
    torch.testing.assert_close(found["advantage_0"], found["td_error"])
    torch.testing.assert_close(found["advantage_1"], (batch.rewards[:, None] - values).where(batch.mask, 0.0))


def test_the_rules_compared_do_not_depend_on_the_recipe():
    """Only `advantage_own` is the recipe's: grpo has each response's standing on every token."""
    batch, values = random_batch()
    grpo = assemble(RECIPES["grpo"].toggles, SETTINGS, RECIPES["grpo"].variants)
    ours, theirs = (credit_columns(batch, values, recipe, SETTINGS) for recipe in (VAPO, grpo))
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == ["advantage_own"]
    assert theirs["advantage_own"][0].unique().tolist() == pytest.approx([0.5**0.5], abs=1e-5)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_own_advantage_is_what_the_update_gets_before_whitening(recipe):
    bundle = RECIPES[recipe]
    plain, settings = (Settings(alpha=0.5, whitening=on) for on in (False, True))
    batch, values = random_batch()
    own = credit_columns(batch, values, assemble(bundle.toggles, settings, bundle.variants), settings)["advantage_own"]
    unwhitened = assemble(bundle.toggles, plain, {**bundle.variants, "whiten": "none"})
    torch.testing.assert_close(own, assign_credit(batch, values, unwhitened).advantages)
    whitened = assemble(bundle.toggles, settings, {k: v for k, v in bundle.variants.items() if k != "whiten"})
    torch.testing.assert_close(whiten(own, batch.mask), assign_credit(batch, values, whitened).advantages)


def test_padding_changes_nothing():
    batch, values = random_batch()
    wide = credit_columns(pad_to(batch, 16, 0), torch.nn.functional.pad(values, (0, 5), value=9.0), VAPO, SETTINGS)
    for name, x in credit_columns(batch, values, VAPO, SETTINGS).items():
        torch.testing.assert_close(wide[name][:, :11], x)
        assert not wide[name][:, 11:].any()


def test_an_unknown_value_spoils_only_the_errors_it_is_part_of():
    batch = batch_of([[1, 1, 1, 1]], [1.0])
    values = torch.tensor([[0.1, 0.2, torch.nan, 0.4]], dtype=torch.double)
    found = td_errors(terminal_rewards(batch), values, batch.mask)
    torch.testing.assert_close(
        found, torch.tensor([[0.1, torch.nan, torch.nan, 0.6]], dtype=torch.double), equal_nan=True
    )


def test_truth_in_the_walk_is_exact(cache):
    """Every token has V of its state and decision, in reward units; its TD errors add up to reward minus first V."""
    numbers = {"reward_low": -1.0, "reward_high": 1.0}
    trainer, problems, found = traced(cache=cache, numbers=numbers, dials={"size": 8, "horizon": 12, "filler": 1})
    exact, walk = exact_values(trainer.world).detach(), trainer.world.task
    for number in range(6):
        here = found["response"] == number
        assert set(found["problem"][here]) == {number // 2}
        state = walk.start_state(problems[number // 2].answer)
        moves = {"left": 0, "right": 1, "stop": 2}
        for decision, text in enumerate(found["text"][here][::2]):
            expected = 2 * exact[decision, state] - 1
            assert found["truth"][here][2 * decision] == pytest.approx(float(expected), abs=1e-5)
            state = int(walk.transitions[state, moves[text]])
        total = found["true_td_error"][here].sum()
        assert total == pytest.approx(found["reward"][here][0] - found["truth"][here][0], abs=1e-5)
    assert not found["truth_se"].any()


def test_words_of_the_walk(cache):
    """Actions and states in turn; filler is a dot that belongs to its move's step."""
    _, problems, found = traced(cache=cache, dials={"size": 8, "horizon": 12, "filler": 2})
    here = found["response"] == 0
    texts, steps = found["text"][here].tolist(), found["step"][here].tolist()
    assert texts[1:3] == ["·", "·"]
    assert steps[:4] == [0, 0, 0, 1]
    assert set(texts) <= {"left", "right", "stop", "·"}
    assert found["state"][0] == problems[0].prompt.replace(" hazard", ", hazard")
    assert found["state"][1] != found["state"][0]


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_looking_changes_nothing_and_every_column_has_every_token(world, cache):
    trainer = trainer_of(small_spec(world), cache)
    before = copy.deepcopy([module.state_dict() for module in (trainer.world.policy, trainer.world.critic)])
    problems = trainer.world.task.sample(np.random.default_rng(5), 2, "held_out")
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    runs = [
        trace(trainer.world, trainer.recipe, trainer.settings, problems, 2, truths=1, seed=seed) for seed in (1, 1, 2)
    ]
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    after = [module.state_dict() for module in (trainer.world.policy, trainer.world.critic)]
    assert all(torch.equal(old[k], new[k]) for old, new in zip(before, after, strict=True) for k in old)
    tokens = sum(runs[0]["length"][runs[0]["position"] == 0])
    assert {len(x) for x in runs[0].values()} == {tokens}
    for name, x in runs[0].items():
        assert x.dtype == object or np.array_equal(x, runs[1][name], equal_nan=x.dtype.kind == "f"), name
    assert not np.array_equal(runs[0]["logp"], runs[2]["logp"])


def test_text_with_monte_carlo_truth(cache):
    """First answers come first when the oracle is rationed; log-probs and values are those of the models."""
    trainer, problems, found = traced("lm", truths=2, cache=cache)
    known = np.unique(found["response"][np.isfinite(found["truth"])])
    assert known.tolist() == [0, 2]
    assert np.isfinite(found["truth"][found["response"] == 2]).all()
    assert found["truth_se"][np.isfinite(found["truth"])].max() > 0
    assert ((found["truth"] >= 0) | np.isnan(found["truth"])).all()
    here = found["response"] == 3
    text = "".join(found["text"][here]).removesuffix(trainer.world.tokenizer.eos_token)
    assert trainer.world.task.verify(problems[1], text).reward == found["reward"][here][0]
    assert found["prompt"][here][0] == problems[1].prompt
    ids = trainer.world.tokenizer(problems[1].prompt + "".join(found["text"][here]))["input_ids"]
    with torch.no_grad():
        rows = trainer.world.model(torch.tensor([ids])).logits.log_softmax(-1)[0, -1 - here.sum() : -1]
    expected = rows.gather(1, torch.tensor(ids[-here.sum() :])[:, None]).squeeze(1)
    np.testing.assert_allclose(found["logp"][here], expected, atol=1e-4)
    np.testing.assert_allclose(found["entropy"][here], -(rows.exp() * rows).sum(1), atol=1e-4)


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_no_truths_asked_for(world, cache):
    _, _, found = traced(world, truths=0, cache=cache)
    assert np.isnan(found["truth"]).all()


def test_a_recipe_without_critic_has_values_of_zero(cache):
    _, _, found = traced(recipe="grpo", answers=4, cache=cache)
    assert not found["value"].any()
    assert set(np.round(found["td_error"], 6)) <= {0.0, 1.0}
