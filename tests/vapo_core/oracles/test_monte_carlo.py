"""The Monte-Carlo oracle against exact values and single prefixes; what it keeps; a learned critic held against it."""

import numpy as np
import pytest

from tests.support.worlds import small_spec, trainer_of
from vapo_core.oracles.monte_carlo import continue_all, sampled_truth, values_at
from vapo_core.oracles.truth import position_variance, squared_error, value_variance
from vapo_core.settings import DEFAULT_SETTINGS


def asked(world, number: int = 6):
    """Problems, one response each, and every place in them."""
    problems = [*world.task.problems["train"], *world.task.problems["train"]][:number]
    rollout = world.engine.generate(problems, 1, seed=1)
    row, time = (x.numpy() for x in rollout.mask.nonzero(as_tuple=True))
    return problems, rollout, row, time


@pytest.mark.parametrize(
    "dials", [{"size": 8, "horizon": 12}, {"size": 8, "horizon": 12, "filler": 2, "trap_reward": 0.4}]
)
def test_continued_walks_have_the_exact_values(dials, cache):
    """Every place, filler included: K = 1,600 puts a mean within 5 standard errors of the exact value."""
    world = trainer_of(small_spec("walk", dials=dials), cache).world
    problems, rollout, row, time = asked(world)
    exact, none = values_at(world, rollout, problems, row, time, 2, seed=3)
    assert not none.any()
    found = continue_all(world, rollout, problems, row, time, 1600, seed=3)
    error = np.sqrt(exact * (1 - exact) / 1600)
    assert (np.abs(found.returns.mean(1) - exact) <= 5 * error + 1e-6).all()
    assert found.tokens >= found.returns.size


def test_continued_texts_have_the_values_of_texts_sampled_whole(cache):
    """Before the first token the value is the accuracy of whole answers, here from 600 of each prompt."""
    world = trainer_of(small_spec("lm"), cache).world
    problems, rollout, row, time = asked(world, 4)
    start = time == 0
    found = continue_all(world, rollout, problems, row[start], time[start], 600, seed=3).returns.mean(1)
    whole = world.engine.generate(problems, 600, seed=4)
    graded = [world.task.verify(problems[i // 600], text).reward for i, text in enumerate(whole.responses)]
    accuracy = np.array(graded).reshape(4, 600).mean(1)
    assert accuracy.max() > 0.05
    np.testing.assert_allclose(found, accuracy, atol=5 * np.sqrt(2 * 0.25 / 600))


def test_what_is_written_is_graded_with_its_continuation(cache):
    """A prefix that ends right before the stop token of a certain policy: only the whole text is a correct answer."""
    world = trainer_of(small_spec("lm"), cache).world
    problem = world.task.problems["train"][0]
    right = next(
        answer for answer in (world.task.demonstration(problem, np.random.default_rng(s)) for s in range(200))
        if world.task.verify(problem, answer).reward == 1.0
    )  # fmt: skip
    tokens = world.tokenizer(right)["input_ids"]
    stop = world.tokenizer.eos_token_id
    rollout = world.engine.write([world.tokenizer(problem.prompt)["input_ids"]], [[*tokens, stop]])
    world.engine.endings = lambda prefixes, limits, seed, each: [[stop]] * (len(prefixes) * each)
    found = world.continuations(rollout, [problem], np.zeros(2, int), np.array([len(tokens), len(tokens) - 1]), 3, 0)
    assert found.returns.tolist() == [[1.0] * 3, [0.0] * 3]
    assert found.tokens == 6


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_rewards_come_back_in_the_order_asked(world, cache):
    """Batches are sorted by length inside; asking in another order must give the same places the same values."""
    world = trainer_of(small_spec(world), cache).world
    problems, rollout, row, time = asked(world)
    order = np.random.default_rng(0).permutation(len(row))
    plain = continue_all(world, rollout, problems, row, time, 60, seed=3).returns.mean(1)
    mixed = continue_all(world, rollout, problems, row[order], time[order], 60, seed=3).returns.mean(1)
    assert plain.std() > 0.1  # or the test says nothing
    np.testing.assert_allclose(mixed, plain[order], atol=5 * np.sqrt(2 * 0.25 / 60))
    assert np.corrcoef(mixed, plain[order])[0, 1] > 0.8


def test_every_prefix_has_a_limit_and_samples_of_its_own(cache):
    """Mixed lengths in one batch: no text outgrows the task's limit, and each of a prefix's samples differs."""
    engine = trainer_of(small_spec("lm"), cache).world.engine
    prefixes = [engine.tokenizer(text)["input_ids"] for text in ("d!f:", "d!f:>e>f", "c!f:<b")]
    limits = [9, 1, 4]
    found = engine.endings(prefixes, limits, 3, 50)
    lengths = np.array([len(tokens) for tokens in found]).reshape(3, 50)
    assert lengths.max(1).tolist() == limits
    assert lengths.min() == 1
    alone = engine.complete(prefixes, limits, 3, 50)
    texts = engine.texts(found)
    assert tuple(texts) == alone.responses
    assert len(set(texts[:50])) > 10


def test_equal_places_are_continued_independently(cache):
    """Estimators take s^2 / K off per place, so two places with one prefix must not share their luck."""
    world = trainer_of(small_spec("lm"), cache).world
    problems, rollout, _, _ = asked(world, 1)
    twice = np.zeros(2, int)
    first, second = continue_all(world, rollout, problems, twice, twice, 200, seed=3).returns
    assert not np.array_equal(first, second)


def test_a_prefix_is_read_once_for_all_its_continuations(cache):
    """The model sees 3 rows when it reads 3 prefixes, and 24 only for the sampled tokens."""
    world = trainer_of(small_spec("lm"), cache).world
    seen, forward = [], world.model.forward
    world.model.forward = lambda **kwargs: (seen.append(tuple(kwargs["input_ids"].shape)), forward(**kwargs))[1]
    problems, rollout, row, time = asked(world, 3)
    seen.clear()
    late = time == 2
    continue_all(world, rollout, problems, row[late], time[late], 8, seed=3)
    assert seen[0] == (3, 6)  # prompts of 4 tokens and 2 written
    assert all(rows <= 24 and width == 1 for rows, width in seen[1:])


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_oracle_reads_only_and_repeats(world, cache):
    """Same seed, same values, another seed others; weights untouched."""
    trainer = trainer_of(small_spec(world), cache)
    problems, rollout, row, time = asked(trainer.world)
    before = [p.clone() for p in trainer.world.policy.parameters()]
    first, again, other = (
        continue_all(trainer.world, rollout, problems, row, time, 4, seed=s).returns for s in (7, 7, 8)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all((a == b).all() for a, b in zip(before, trainer.world.policy.parameters(), strict=True))


@pytest.mark.slow
def test_learned_critic_beats_best_constant_and_best_position_only_critic(cache):
    """On the text walk the state is visible, so value pretraining explains more of V than any position can."""
    spec = small_spec("lm", steps=1, numbers=DEFAULT_SETTINGS["lm"].model_dump() | {"warmup_steps": 20})
    trainer = trainer_of(spec, cache)
    trainer.steps = 0
    trainer.run(lambda step, metrics: None)
    world, rng = trainer.world, np.random.default_rng(5)
    problems = world.task.sample(rng, 256, "held_out")
    rollout = world.engine.generate(problems, 1, seed=21)
    found = sampled_truth(world, problems, rollout, 3, trainer.settings, places=400, continuations=16)
    assert len(found.value) == 400
    assert squared_error(found) < 0.75 * position_variance(found)
    assert squared_error(found) < 0.75 * value_variance(found)
