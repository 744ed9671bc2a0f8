"""A small Llama as a GGUF file, written with the format's own library, and a wheel around it."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM

from tests.support.checkpoints import bpe, config_of
from vapo_core.models.published import Published

LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
"""Names of a layer's weights in transformers -> in the format."""

MEMBER = "small_model/small.gguf"


def small_llama() -> tuple[Any, Any]:
    """A random Llama of 2 layers with tied embeddings and a tokenizer with a chat template, whose turns end in its eos."""
    tokenizer = bpe(template=True, pad=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.eos_token = tokenizer.pad_token = "<|im_end|>"
    tokenizer.bos_token, tokenizer.unk_token = "<|im_start|>", "<|endoftext|>"
    torch.manual_seed(0)
    config = config_of("llama", tokenizer, intermediate_size=64)
    return AutoModelForCausalLM.from_config(config).eval(), tokenizer


def write_gguf(
    path: Path, model: Any, tokenizer: Any, quantised: bool = False, left_out: str = "", pre: str = "smollm"
) -> None:
    """Write them; matrices in Q4_1 if `quantised`, all weights but the one named `left_out`; `pre` says how text is split."""
    import gguf

    writer, config = gguf.GGUFWriter(str(path), "llama"), model.config
    writer.add_name("small")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    _write_tokenizer(writer, gguf, tokenizer, pre)
    for name, weight in _weights(model).items():
        if name == left_out:
            continue
        if quantised and weight.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_tokenizer(writer: Any, gguf: Any, tokenizer: Any, pre: str) -> None:
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    special = set(tokenizer.added_tokens_decoder)
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _weights(model: Any) -> dict[str, np.ndarray]:
    """By the format's names; it turns the rows of queries and keys, for it rotates neighbouring places, not halves."""
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    found = {}
    for name, value in model.state_dict().items():
        weight = value.float().numpy()
        if name == "model.embed_tokens.weight":
            found["token_embd.weight"] = weight
        elif name == "model.norm.weight":
            found["output_norm.weight"] = weight
        elif name.startswith("model.layers."):
            number, _, inner = name.removeprefix("model.layers.").partition(".")
            part = LAYER[inner.removesuffix(".weight")]
            found[f"blk.{number}.{part}.weight"] = interleaved(weight, heads[part]) if part in heads else weight
    return found


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head as pairs (i, i + half) in place of halves."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


def wheel_around(gguf_file: Path, wheel: Path, member: str = MEMBER) -> Published:
    """Put the file into an archive as a wheel has it; returns how such a model is described."""
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf_file, member)
        archive.writestr("small_model/__init__.py", "raise RuntimeError('nothing of a wheel is run')")
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (wheel, gguf_file)]
    return Published("small-model==1.0", digests[0], MEMBER, digests[1], "A random model.")
