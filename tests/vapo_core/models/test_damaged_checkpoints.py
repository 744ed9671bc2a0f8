"""Checkpoints that are not what was saved: one line that names the field, the folder and what is lost."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.support.checkpoints import bpe, causal, reward_model
from tests.vapo_core.models.test_checkpoints import moved, world_of
from vapo_core.models.checkpoints import read_policy
from vapo_core.models.value_models import read_values

KINDS = [("llama", True), ("llama", False), ("qwen3", True), ("qwen3", False), ("gpt2", True)]


def config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def weights(folder, change):
    file = folder / "model.safetensors"
    found = load_file(str(file))
    save_file(change(found) or found, str(file), metadata={"format": "pt"})


def without(*words):
    """The weights but those with one of these words in their names."""
    return lambda folder: weights(
        folder, lambda w: {k: x for k, x in w.items() if not any(word in k for word in words)}
    )


def poisoned(value, word=""):
    def harm(found):
        for name in found:
            if word in name:
                found[name].view(-1)[0] = value

    return lambda folder: weights(folder, harm)


def renamed(old, new):
    return lambda folder: weights(folder, lambda w: {k.replace(old, new): x for k, x in w.items()})


def pickled(folder):
    torch.save(load_file(str(folder / "model.safetensors")), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def sharded(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")


def index(folder, change):
    sharded(folder)
    path = folder / "model.safetensors.index.json"
    content = json.loads(path.read_text())
    change(content["weight_map"])
    path.write_text(json.dumps(content))


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


def cut(folder, at):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:at])


def few_tokens(folder):
    """An embedding that ends before the tokenizer's tokens do."""
    weights(folder, lambda w: {k: x[:200].clone() if x.shape[0] == 320 else x for k, x in w.items()})
    config(folder, vocab_size=200)


LAYER_TYPES = "must be equal to the number of `layer_types`"
"""What transformers says of a Qwen 3 whose layers are not as many as it describes."""

DAMAGED = {
    "more layers": (
        lambda f: config(f, num_hidden_layers=7),
        "(45 weights .* missing|num_hidden_layers. .7. must be equal)",
    ),
    "fewer layers": (
        lambda f: config(f, num_hidden_layers=1),
        "(weights .* unknown to its config.json|num_hidden_layers. .1. must be equal)",
    ),
    "wider": (lambda f: config(f, hidden_size=64), "of another shape"),
    "lost": (without("layers.1.mlp"), "3 weights .*mlp.down_proj.* missing"),
    "lost embedding": (without("embed_tokens"), "embed_tokens.weight.* missing"),
    "renamed": (renamed("self_attn", "attention"), "weights .* missing"),
    "no number": (poisoned(float("nan"), "layers.0.mlp.up"), "1 weight .*mlp.up_proj.* not finite"),
    "no numbers": (poisoned(float("nan")), "not finite"),
    "infinite": (poisoned(float("-inf"), "norm"), "not finite"),
    "another head": (
        lambda f: weights(f, lambda w: {**w, "score.weight": torch.zeros(1, 32)}),
        "score.weight.* unknown",
    ),
    "cut off": (lambda f: cut(f, 100_000), "cannot be read: its weights"),
    "cut to little": (lambda f: cut(f, 3000), "cannot be read: its config.json describes .* 3000 bytes"),
    "cut to nothing": (lambda f: cut(f, 0), "cannot be read: its weights"),
    "a byte short": (lambda f: cut(f, -1), "cannot be read: its weights"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot be read: its weights"),
    "a pickle of code": (
        lambda f: (pickled(f), (f / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")),
        r"cannot be read: its (weights|config.json describes \d+ weights, its files have \d+ bytes)",
    ),
    "an empty pickle": (lambda f: (pickled(f), (f / "pytorch_model.bin").write_bytes(b"")), "its weights .EOFError"),
    "a shard gone": (lambda f: (sharded(f), next(f.glob("model-0*")).unlink()), "its weights .No such file"),
    "a shard never there": (lambda f: index(f, lambda m: m.update({min(m): "nope.safetensors"})), "nope.safetensors"),
    "an index of none": (lambda f: (sharded(f), text("model.safetensors.index.json", "[]")(f)), "its weights"),
    "layers two": (lambda f: config(f, num_hidden_layers="two"), "its config.json .*num_hidden_layers"),
    "layers a list": (lambda f: config(f, num_hidden_layers=[2]), "its config.json"),
    "no heads": (lambda f: config(f, num_attention_heads=0), "cannot be read: its config.json"),
    "no such kind": (lambda f: config(f, model_type="nope"), "its config.json .*`nope`"),
    "kind a list": (lambda f: config(f, model_type=["llama"]), "cannot be read: its config.json"),
    "no such activation": (lambda f: config(f, hidden_act="nope"), "cannot be read: its config.json"),
    "no such numbers": (lambda f: config(f, dtype="float7"), "cannot be read: its config.json"),
    "a billion layers": (
        lambda f: config(f, num_hidden_layers=10**9),
        "(num_hidden_layers 1000000000 .* at most 500|num_hidden_layers. .1000000000. must be equal)",
    ),
    "a huge layer": (lambda f: config(f, intermediate_size=10**10), "describes 19200.* weights, its files have"),
    "more tokens than memory": (lambda f: config(f, vocab_size=10**13), "describes .* weights, its files have"),
    "no JSON": (text("config.json", "not json"), "config.json.* is not a valid JSON"),
    "empty": (text("config.json", ""), "config.json.* is not a valid JSON"),
    "null": (text("config.json", "null"), "cannot be read: its config.json"),
    "a list": (text("config.json", "[]"), "cannot be read: its config.json"),
    "nested": (text("config.json", "[" * 100_000), "its config.json .nested too deeply"),
    "nested objects": (text("config.json", '{"a":' * 100_000), "its config.json .nested too deeply"),
    "an adapter beside": (text("adapter_config.json", "{}"), "holds an adapter"),
}
TOKENIZERS = {
    "tokenizer no JSON": (text("tokenizer.json", "not json"), "cannot be read: its tokenizer"),
    "tokenizer null": (text("tokenizer.json", "null"), "cannot be read: its tokenizer"),
    "tokenizer empty": (text("tokenizer.json", "{}"), "cannot be read: its tokenizer"),
    "tokenizer gone": (lambda f: (f / "tokenizer.json").unlink(), "cannot be read: its tokenizer"),
    "tokenizer nested": (text("tokenizer_config.json", "[" * 100_000), "its tokenizer .nested too deeply"),
    "stops no JSON": (text("generation_config.json", "not json"), "cannot be read: its generation_config.json"),
    "stops null": (text("generation_config.json", "null"), "cannot be read: its generation_config.json"),
    "stops a word": (text("generation_config.json", '{"eos_token_id": "a"}'), "eos_token_id = 'a', allowed: numbers"),
    "few tokens": (few_tokens, "an embedding of 200 tokens, its tokenizer has .* as number 200"),
}


def refused(read, field, folder, words):
    with pytest.raises(ValueError, match=rf"^{field}: .*{words}") as error:
        read()
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_a_damaged_checkpoint_is_neither_policy_nor_critic(architecture, case, tmp_path):
    harm, words = DAMAGED[case]
    folder = Path(causal(tmp_path / "base", architecture, tied=architecture == "llama"))
    harm(folder)
    words = words.replace("45 weights", r"\d+ weights")
    refused(lambda: read_policy("base.model", str(folder)), "base.model", folder, words)
    refused(lambda: read_values(str(folder), 0.0), "base.critic", folder, words)


@pytest.mark.parametrize("case", TOKENIZERS)
def test_a_damaged_tokenizer_is_refused(case, tmp_path):
    harm, words = TOKENIZERS[case]
    folder = Path(causal(tmp_path / "base", "llama", tied=False))
    harm(folder)
    refused(lambda: read_policy("checkpoint", str(folder)), "checkpoint", folder, words)


@pytest.mark.parametrize(("architecture", "tied"), KINDS)
@pytest.mark.parametrize(
    "form",
    [
        lambda folder: None, pickled, sharded, renamed("nothing", "nothing"),
        lambda f: weights(f, lambda w: w.update({"v_head.summary.weight": torch.zeros(1, 32)})),
        lambda f: config(f, architectures=None),
    ],
)  # fmt: skip
def test_whole_checkpoints_are_no_false_alarm(form, architecture, tied, tmp_path):
    folder = Path(causal(tmp_path / "base", architecture, tied=tied))
    plain = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    form(folder)
    found = read_policy("base.model", str(folder))[1].state_dict()
    assert all(torch.equal(x, found[name]) for name, x in plain.items())


def test_weights_that_follow_from_the_configuration_may_be_there(tmp_path):
    """Old checkpoints keep rotary frequencies, and GPT-2's its causal masks."""
    llama, gpt2 = Path(causal(tmp_path / "llama", "llama")), Path(causal(tmp_path / "gpt2", "gpt2"))
    weights(llama, lambda w: w.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    masks = {"h.0.attn.bias": torch.ones(1, 1, 8, 8), "h.1.attn.masked_bias": torch.tensor(-1e4)}
    weights(gpt2, lambda w: {k.removeprefix("transformer."): x for k, x in {**w, **masks}.items()})
    for folder in (llama, gpt2):
        read_policy("base.model", str(folder))
        read_values(str(folder), 0.0)


@pytest.mark.parametrize("tied", [True, False])
def test_a_reward_model_or_a_bare_backbone_is_no_policy(tied, tmp_path):
    """With tied embeddings nothing would be missing: the head would be the embedding."""
    tokenizer, backbone = bpe(), AutoModel.from_pretrained(causal(tmp_path / "whole", "qwen3", tied=tied))
    backbone.save_pretrained(tmp_path / "backbone")
    judge = AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole", num_labels=1)
    judge.save_pretrained(tmp_path / "judge")
    for name in ("backbone", "judge"):
        tokenizer.save_pretrained(tmp_path / name)
    refused(lambda: read_policy("base.model", str(tmp_path / "judge")), "base.model", tmp_path / "judge", "weight")
    if not tied:
        words = "lm_head.weight.* missing"
        refused(
            lambda: read_policy("base.model", str(tmp_path / "backbone")), "base.model", tmp_path / "backbone", words
        )
    critic = read_values(str(tmp_path / "backbone"), 0.0).base_model.state_dict()
    assert all(torch.equal(x, critic[name]) for name, x in backbone.state_dict().items())


def test_a_reward_model_without_its_head_is_no_critic(tmp_path):
    judge = Path(reward_model(tmp_path / "judge"))
    without("score")(judge)
    refused(lambda: read_values(str(judge), 0.0), "base.critic", judge, "score.weight.* missing")


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text"])
@pytest.mark.parametrize("lora", [False, True])
def test_what_a_run_saved_is_read_whole_and_its_damage_is_seen(architecture, lora, tmp_path):
    """Policy and critic, adapters merged or none, a value head of its own or none; also by the run that goes on."""
    if lora:
        pytest.importorskip("peft", reason="extra real")
    checkpoint = causal(tmp_path / "base", architecture, spare=9)
    world = moved(checkpoint, tmp_path, lora={"on": lora, "rank": 4})
    world.save(tmp_path / "saved")
    policy, critic = tmp_path / "saved" / "policy", tmp_path / "saved" / "critic"
    read_policy("checkpoint", str(policy))
    read_values(str(critic), 0.0)
    world_of(checkpoint, tmp_path, lora={"on": lora, "rank": 4}).load(tmp_path / "saved")
    heads = {"qwen3": critic / "model.safetensors", "gemma3_text": critic / "value_head.safetensors"}
    for file in (policy / "model.safetensors", heads[architecture]):
        found = load_file(str(file))
        found[max(found)].view(-1)[0] = float("nan")
        save_file(found, str(file), metadata={"format": "pt"})
    refused(lambda: read_policy("checkpoint", str(policy)), "checkpoint", policy, "not finite")
    with pytest.raises(ValueError, match=r"critic.* not finite"):
        read_values(str(critic), 0.0)
    if not lora:
        with pytest.raises(ValueError, match=r"policy.* not finite"):
            world_of(checkpoint, tmp_path).load(tmp_path / "saved")


def test_a_special_token_beyond_the_embedding_is_no_harm_unless_it_ends_a_text(tmp_path):
    """Gemma 3 names images by a token that its text model has no embedding for."""
    folder = Path(causal(tmp_path / "base"))
    tokenizer = bpe()
    tokenizer.add_special_tokens({"extra_special_tokens": [*tokenizer.extra_special_tokens, "<image>"]})
    tokenizer.save_pretrained(folder)
    read_policy("base.model", str(folder))
    tokenizer = bpe()
    tokenizer.add_special_tokens({"pad_token": "<padding>"})  # stands where nothing reads
    tokenizer.save_pretrained(folder)
    read_policy("base.model", str(folder))
    tokenizer = bpe()
    tokenizer.add_special_tokens({"eos_token": "<end>"})
    tokenizer.save_pretrained(folder)
    refused(lambda: read_policy("base.model", str(folder)), "base.model", folder, "as number 320")
    tokenizer = bpe()
    tokenizer.add_tokens(["<think>"])
    tokenizer.save_pretrained(folder)
    refused(lambda: read_policy("base.model", str(folder)), "base.model", folder, "'<think>' as number 320")
