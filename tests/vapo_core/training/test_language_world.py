"""The language world: sampling and training see the same probabilities, whatever the padding."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.support.worlds import small_spec, trainer_of
from vapo_core.training.collect import pad_to
from vapo_core.types import Batch, Problem


@pytest.fixture(scope="module")
def trainer(cache):
    return trainer_of(small_spec("lm"), cache)


@pytest.fixture(scope="module")
def world(trainer):
    return trainer.world


def as_batch(rollout) -> Batch:
    return Batch.ungraded(rollout)


def test_recorded_log_probabilities_equal_recomputation(world):
    """Cache and full forward agree to 1e-4, also at a temperature other than 1."""
    problems = world.task.problems["train"][:16]
    for temperature in (1.0, 0.7):
        world.policy.temperature = world.engine.temperature = temperature
        rollout = world.engine.generate(problems, 4, seed=1)
        logp, _ = world.policy(as_batch(rollout))
        torch.testing.assert_close(logp, rollout.logp, atol=1e-4, rtol=0)
    world.policy.temperature = world.engine.temperature = 1.0


def test_prompts_of_unequal_length_change_nothing(world):
    """Left padding: a prompt beside a longer one gets the log-probabilities it gets alone."""
    prompts = [world.tokenizer(text)["input_ids"] for text in ("d!f:", "d!f:>e", "d!f:>e>f")]
    together = world.engine.complete(prompts, 12, seed=5)
    logp, entropy = world.policy(as_batch(together))
    torch.testing.assert_close(logp, together.logp, atol=1e-4, rtol=0)
    values = world.critic(as_batch(together))
    for row, prompt in enumerate(prompts):
        length = int(together.mask[row].sum())
        ids = torch.tensor([prompt + together.inputs["ids"][row, len(prompts[-1]) :][:length].tolist()])
        alone = replace(
            as_batch(together).take(torch.tensor([row])),
            inputs={"ids": ids, "attention": torch.ones_like(ids)},
            mask=torch.ones(1, length, dtype=torch.bool),
        )
        torch.testing.assert_close(world.policy(alone)[0][0], logp[row, :length], atol=1e-4, rtol=0)
        torch.testing.assert_close(world.policy(alone)[1][0], entropy[row, :length], atol=1e-4, rtol=0)
        torch.testing.assert_close(world.critic(alone)[0], values[row, :length], atol=1e-4, rtol=0)


def test_padding_columns_change_nothing(world):
    """Masked columns on either side leave log-probabilities and values as they were."""
    batch = as_batch(world.engine.generate(world.task.problems["train"][:8], 2, seed=3))
    tokens, lead = batch.mask.shape[1], batch.inputs["ids"].shape[1] - batch.mask.shape[1]
    padded = pad_to(batch, tokens + 3, lead + 2)
    torch.testing.assert_close(world.policy(padded)[0][:, :tokens], world.policy(batch)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(world.critic(padded)[:, :tokens], world.critic(batch), atol=1e-5, rtol=0)


def test_a_row_samples_the_same_whenever_its_neighbours_end(world):
    """Rows leaving the decoding batch must not shift other rows' random numbers."""
    prompts = [world.tokenizer(p.prompt)["input_ids"] for p in world.task.problems["train"][:8]]
    whole = world.engine.complete(prompts, 35, seed=9)
    cut = world.engine.complete(prompts, 6, seed=9)
    assert torch.equal(whole.inputs["ids"][:, : cut.inputs["ids"].shape[1]], cut.inputs["ids"])
    assert int(whole.mask.sum(1).min()) < int(whole.mask.sum(1).max())  # or the test says nothing


def test_mask_covers_the_stop_token_and_nothing_after(world):
    rollout = world.engine.generate(world.task.problems["train"][:16], 8, seed=2)
    tokens = rollout.inputs["ids"][:, -rollout.mask.shape[1] :]
    stop = (tokens == world.tokenizer.eos_token_id) & rollout.mask
    last = rollout.mask.sum(1) - 1
    ended = ~rollout.truncated
    assert stop.sum(1)[ended].eq(1).all()
    assert stop[ended, last[ended]].all()
    assert int(rollout.mask.sum(1).max()) <= world.task.max_tokens


def test_critic_reads_the_prefix_before_each_token(world):
    """V_t must not see token t: changing it leaves V_0 .. V_t as they were and moves a later value."""
    batch = as_batch(world.engine.generate(world.task.problems["train"][:8], 1, seed=4))
    ids = batch.inputs["ids"].clone()
    column = ids.shape[1] - batch.mask.shape[1] + 2
    ids[:, column] = (ids[:, column] + 1) % len(world.tokenizer)
    changed = replace(batch, inputs={**batch.inputs, "ids": ids})
    before, after = world.critic(batch), world.critic(changed)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


def test_critic_starts_on_the_policys_backbone_with_weights_of_its_own(trainer, cache):
    world = trainer_of(small_spec("lm"), cache).world
    policy, critic = world.policy.model.base_model, world.critic.model.base_model
    for a, b in zip(policy.parameters(), critic.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.data_ptr() != b.data_ptr()


def test_base_model_loads_as_a_plain_checkpoint(world, trainer, cache, tmp_path):
    """The cached base and a checkpoint of ours are folders that `from_pretrained` takes."""
    base = next(p for p in (cache / "bases").iterdir() if p.is_dir())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    assert not model.config.tie_word_embeddings
    assert tokenizer.decode(tokenizer("d!f:<c")["input_ids"]) == "d!f:<c"
    world.save(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved" / "policy")
    for a, b in zip(world.policy.model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_unknown_characters_are_seen_by_the_verifier(world):
    """A special token inside a response stays visible, so it is refused rather than dropped."""
    ids = torch.tensor([[*world.tokenizer("<c")["input_ids"], world.tokenizer.pad_token_id]])
    (text,) = world.engine.texts(ids.tolist())
    assert "<pad>" in text
    assert not world.task.verify(Problem("", world.task.problems["train"][0].answer), text).parsed
