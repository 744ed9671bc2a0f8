"""The lean decoder equals the Hugging Face model, whichever rows have left the batch."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from vapo_core.models.policy import positions
from vapo_core.rollout.decoding import LeanDecoding, ModelDecoding, decoding, is_known

CONFIGS = {
    "llama": {"architecture": "llama"},
    "qwen3": {"architecture": "qwen3"},
    "shared key heads": {"architecture": "llama", "num_key_value_heads": 2},
    "qwen2, with biases": {"architecture": "qwen2"},
    "tied": {"architecture": "qwen3", "tie_word_embeddings": True},
}


def model_of(architecture="llama", **more):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8,
             "num_key_value_heads": 4, "vocab_size": 19, "initializer_range": 0.1, "tie_word_embeddings": False}  # fmt: skip
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **{**shape, **more})).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # begin at 0, where forgetting them would not show
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def both(model, rows=24, prompt=7, room=12):
    """Both decodings after reading prompts padded left."""
    ids = torch.randint(19, (rows, prompt), generator=torch.Generator().manual_seed(1))
    attention = torch.ones(rows, prompt, dtype=torch.long)
    attention[::3, :3] = 0

    def read():
        return model(input_ids=ids, attention_mask=attention, position_ids=positions(attention), use_cache=True)

    with torch.no_grad():
        return [
            ModelDecoding(model, read().past_key_values, attention),
            LeanDecoding(model, read().past_key_values, attention, room),
        ]


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_lean_decoding_equals_the_model_while_rows_leave(name):
    model = model_of(**CONFIGS[name])
    assert is_known(model.config)
    exact, lean = both(model)
    rng = torch.Generator().manual_seed(2)
    rows = 24
    for _ in range(12):
        token = torch.randint(19, (rows,), generator=rng)
        torch.testing.assert_close(lean.read(token), exact.read(token), atol=1e-5, rtol=0)
        kept = (torch.rand(rows, generator=rng) < 0.8).nonzero().squeeze(1)
        if len(kept):
            exact.keep(kept)
            lean.keep(kept)
            rows = len(kept)


@torch.no_grad()
def test_rows_are_packed_only_when_enough_have_left():
    _, lean = both(model_of())
    lean.read(torch.zeros(24, dtype=torch.long))
    lean.keep(torch.arange(20))
    assert len(lean.place) == 24
    lean.keep(torch.arange(10))
    assert len(lean.place) == 10


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 1},
        {"architecture": "llama", "attention_bias": True},
        {"architecture": "llama", "mlp_bias": True},
        {"architecture": "llama", "hidden_act": "gelu"},
        {"architecture": "llama", "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
        {"architecture": "qwen3", "use_sliding_window": True, "sliding_window": 4},
    ],
)
def test_other_architectures_go_through_the_model(config):
    named = dict(config)
    assert not is_known(AutoConfig.for_model(named.pop("architecture"), **named))


@torch.no_grad()
def test_the_choice_is_made_by_architecture():
    model = model_of()
    attention = torch.ones(2, 3, dtype=torch.long)
    output = model(input_ids=torch.zeros(2, 3, dtype=torch.long), use_cache=True)
    assert isinstance(decoding(model, output.past_key_values, attention, 4), LeanDecoding)
    model.config.hidden_act = "gelu"
    assert isinstance(decoding(model, output.past_key_values, attention, 4), ModelDecoding)
