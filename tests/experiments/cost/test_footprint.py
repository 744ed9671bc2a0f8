"""Memory and time of training a checkpoint: parameters and activations counted in real models, the rest by hand."""

import pytest
import torch

from experiments.cost.footprint import SHAPES, Machine, Shape, activation_bytes, footprint, parameters, table
from experiments.studies.core import numbers
from tests.test_readme import README
from vapo_core.settings import Settings

SMALL = Shape(2, 96, 224, 6, 2, 120, True)


@pytest.mark.parametrize(
    ("name", "count"),
    [("Qwen/Qwen2.5-0.5B", 494_032_768), ("Qwen/Qwen2.5-1.5B", 1_543_714_304), ("Qwen/Qwen2.5-7B", 7_615_616_512)],
)
def test_parameters_are_those_of_the_published_models(name, count):
    assert parameters(SHAPES[name]) == count


def model(layers: int):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "qwen2", hidden_size=SMALL.hidden, intermediate_size=SMALL.intermediate, num_attention_heads=SMALL.heads,
        num_key_value_heads=SMALL.key_heads, num_hidden_layers=layers, vocab_size=SMALL.vocabulary, tie_word_embeddings=True,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).train()


def kept(layers: int, tokens: int, checkpointing: bool) -> int:
    """Bytes a bfloat16 pass keeps for the way back, but those of weights."""
    causal = model(layers)
    if checkpointing:
        causal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    weights = {tuple(p.shape) for p in causal.parameters()} | {tuple(p.shape)[::-1] for p in causal.parameters()}
    found: dict[int, torch.Tensor] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        if tuple(x.shape) not in weights:
            found[x.untyped_storage().data_ptr()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), torch.autocast("cpu", torch.bfloat16):
        causal(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    return sum(x.untyped_storage().nbytes() for x in found.values())


def test_the_formula_counts_parameters_of_a_real_model():
    assert parameters(SMALL) == sum(p.numel() for p in model(2).parameters())


def test_the_formula_counts_activations_of_a_real_model():
    """A third layer more than two, so that what does not go by layers drops out; broken once by a factor of 26 for 28."""
    tokens = 128
    added = (kept(3, tokens, False) - kept(2, tokens, False)) / tokens
    assert added == activation_bytes(SMALL, False) / SMALL.layers
    assert (kept(3, tokens, True) - kept(2, tokens, True)) / tokens == 4 * SMALL.hidden


def test_bytes_and_seconds_by_hand():
    """1,000 weights' worth of arithmetic that fits on a napkin."""
    shape, settings = SHAPES["Qwen/Qwen2.5-0.5B"], Settings(responses_per_step=512)
    found = footprint(shape, settings, 512, 16_384, False, Machine())
    assert found.training_gb == pytest.approx(36 * 0.494032768)
    per_token = 24 * (28 * 896 + 2 * 896 + 4 * 128 + 8 * 4864 + 4 * 14 + 8) + 4 * 151_936
    assert found.activations_gb == pytest.approx(16_384 * per_token / 1e9)
    assert found.generation_gb == pytest.approx(2 * 0.494032768 + 512 * 512 * 4 * 24 * 128 / 1e9)
    assert found.update_s == pytest.approx(16 * 494_032_768 * 512 * 512 / (989e12 * 0.35))
    assert found.rollout_s == pytest.approx(512 * 0.008)  # latency, not bandwidth, at this size
    assert found.total_gb == pytest.approx(found.training_gb + found.activations_gb)


def test_several_gpus_share_answers_and_work_and_weights_where_asked():
    shape, settings = SHAPES["Qwen/Qwen2.5-7B"], Settings(responses_per_step=512)
    machines = (Machine(), Machine(8), Machine(8, sharded=True))
    one, whole, cut = (footprint(shape, settings, 512, 8192, True, machine) for machine in machines)
    assert one.training_gb == whole.training_gb == pytest.approx(8 * cut.training_gb)
    assert one.update_s == pytest.approx(8 * whole.update_s)
    assert whole.update_s == cut.update_s
    assert one.activations_gb == cut.activations_gb
    assert cut.total_gb < 80 < whole.total_gb


def test_the_readme_has_the_tables_numbers():
    assert table(numbers("lm", "real", {})) in README
