"""Adapters on a checkpoint, and the critics that training may start from."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.support.checkpoints import causal, reward_model
from tests.vapo_core.models.test_checkpoints import PROBLEMS, world_of
from tests.vapo_core.training.test_real_training import ran, trainer_of, weights_of
from vapo_core.seeds import seeds_of
from vapo_core.types import Batch
from vapo_core.worlds import critic_checkpoint

TINY = {"on": True, "rank": 4}

# --- adapters ---


@pytest.fixture
def adapted(tmp_path):
    pytest.importorskip("peft", reason="extra real")
    return causal(tmp_path / "base", "qwen2", tied=True)


def test_adapters_alone_are_trained_and_start_from_the_policy(adapted, tmp_path):
    """The reference of the KL penalty is the policy with adapters off: what it was when RL began."""
    plain = world_of(adapted, tmp_path)
    trainer = trainer_of(adapted, tmp_path, lora=TINY)
    world = trainer.world
    batch = Batch.ungraded(plain.engine.generate(PROBLEMS, 2, seed=1))
    start = plain.policy(batch)[0]
    torch.testing.assert_close(world.policy(batch)[0], start, atol=1e-5, rtol=0)
    torch.testing.assert_close(world.critic(batch), plain.critic(batch), atol=1e-5, rtol=0)
    before = {**weights_of(world.policy), **{f"critic {k}": v for k, v in weights_of(world.critic).items()}}
    ran(trainer)
    after = {**weights_of(world.policy), **{f"critic {k}": v for k, v in weights_of(world.critic).items()}}
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert moved
    assert all("lora_" in name or "score" in name for name in moved)
    assert not torch.allclose(world.policy(batch)[0], start, atol=1e-4)
    torch.testing.assert_close(trainer.reference(batch)[0], start, atol=1e-5, rtol=0)
    rollout = world.engine.generate(PROBLEMS, 2, seed=1)  # sampled with the adapters, in the lean decoder too
    torch.testing.assert_close(world.policy(Batch.ungraded(rollout))[0], rollout.logp, atol=1e-4, rtol=0)
    assert all(p.requires_grad for name, p in world.policy.named_parameters() if "lora_" in name)


def test_adapters_are_saved_merged_and_by_themselves(adapted, tmp_path):
    """Three ways to the same model: as trained, merged by us, and the base with the adapter on it as peft reads it."""
    from peft import PeftModel

    trainer = trainer_of(adapted, tmp_path, lora=TINY)
    ran(trainer)
    trainer.save(tmp_path / "saved", trainer.progress)
    model, tokenizer = trainer.world.model, trainer.world.tokenizer
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "saved" / "policy")
    base = AutoModelForCausalLM.from_pretrained(adapted, dtype=torch.float32)
    beside = PeftModel.from_pretrained(base, tmp_path / "saved" / "policy" / "adapter")
    ids = torch.tensor([tokenizer(PROBLEMS[0].prompt)["input_ids"]])
    with torch.no_grad():
        for other in (merged, beside):
            torch.testing.assert_close(other(ids).logits, model(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "adapters"])
def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(lora, tmp_path):
    if lora:
        pytest.importorskip("peft", reason="extra real")
    checkpoint = causal(tmp_path / "base", "olmo2")
    base = {"lora": {**TINY, "on": lora}}
    whole = trainer_of(checkpoint, tmp_path, steps=2, **base)
    ran(whole)
    begun = trainer_of(checkpoint, tmp_path, steps=2, **base)
    begun.steps = 1
    begun.run(lambda step, metrics: None, tmp_path / "half", 1)
    resumed = trainer_of(checkpoint, tmp_path, steps=2, **base)
    resumed.resume(tmp_path / "half")
    ran(resumed)
    for mine, other in ((whole.world.policy, resumed.world.policy), (whole.world.critic, resumed.world.critic)):
        own = weights_of(other)
        assert all(torch.equal(weight, own[name]) for name, weight in weights_of(mine).items())


def test_layers_that_are_not_there_cannot_be_adapted(adapted, tmp_path):
    with pytest.raises(ValueError, match=r"base\.lora\.targets = nowhere"):
        world_of(adapted, tmp_path, lora={**TINY, "targets": ("nowhere",)})


# --- where a critic starts ---


def test_a_reward_model_as_critic_says_its_score_on_every_prefix(tmp_path):
    """Its head is read before each token; after the last one it would say what the reward model says of the whole."""
    judge = reward_model(tmp_path / "judge")
    world = world_of(causal(tmp_path / "base"), tmp_path, critic=judge)
    prompt = world.engine.text.prompts([PROBLEMS[0].prompt])[0]
    batch = Batch.ungraded(world.engine.write([prompt], [[30, 40, 50, 60]]))
    values = world.critic(batch)
    plain = AutoModelForSequenceClassification.from_pretrained(judge)
    for time in (0, 3):
        ids = torch.tensor([[*prompt, 30, 40, 50][: len(prompt) + time]])
        hidden = plain.base_model(ids).last_hidden_state[0, -1]
        torch.testing.assert_close(values[0, time], plain.score(hidden)[0], atol=1e-5, rtol=0)


def test_a_causal_checkpoint_as_critic_gives_its_backbone(tmp_path):
    other = causal(tmp_path / "other", "llama")
    world = world_of(causal(tmp_path / "base", "qwen3"), tmp_path, critic=other)
    assert type(world.critic.model).__name__ == "LlamaForTokenClassification"
    plain = AutoModelForCausalLM.from_pretrained(other)
    for mine, own in zip(world.critic.model.base_model.parameters(), plain.base_model.parameters(), strict=True):
        assert torch.equal(mine, own)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text"])
def test_an_earlier_runs_critic_is_found_by_hash_and_by_folder(architecture, tmp_path):
    checkpoint = causal(tmp_path / "base", architecture)
    earlier = trainer_of(checkpoint, tmp_path, steps=1)
    home = tmp_path / "0123456789abcdef"
    earlier.run(lambda step, metrics: None, home / "checkpoint", 1)
    batch = Batch.ungraded(earlier.world.engine.generate(PROBLEMS, 1, seed=1))
    for name in (home.name, str(home), str(home / "checkpoint" / "critic")):
        world = world_of(checkpoint, tmp_path, critic=name)
        torch.testing.assert_close(world.critic(batch), earlier.world.critic(batch), atol=1e-6, rtol=0)
        assert world.identity["critic"]["content"]  # so that another warm critic is kept for it


def test_critics_that_cannot_be_are_refused_in_words(tmp_path):
    checkpoint = causal(tmp_path / "base", spare=9)
    (tmp_path / "grpo").mkdir()
    (tmp_path / "grpo" / "spec.json").write_text(json.dumps({}))
    refused = {
        reward_model(tmp_path / "three", labels=3): "has 3 outputs, a value model has one",
        reward_model(tmp_path / "judge"): "vocabulary size 320, policy 329",
        "0123456789abcdef": "no run 0123456789abcdef",
        "grpo": "has no checkpoint of a critic",
        str(tmp_path / "nowhere"): "neither a local folder",
    }
    for name, words in refused.items():
        with pytest.raises(ValueError, match=rf"base\.critic: .*{words}"):
            _ = world_of(checkpoint, tmp_path, critic=name).critic
    assert critic_checkpoint("policy", tmp_path) is None


def test_a_recipe_without_a_critic_makes_none(tmp_path):
    """Half the memory of a large model."""
    trainer = trainer_of(causal(tmp_path / "base"), tmp_path, "grpo", steps=1)
    assert type(trainer.world.critic).__name__ == "NoCritic"
    assert seeds_of(0).init  # the critic's own stream was not needed
