"""Checkpoints as researchers bring them, made small: random models with a byte-level BPE tokenizer, saved as on the hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, the form that Qwen's models and many others were trained with."""

CORPUS = [f"What is {a} plus {b}? The answer is {a + b}, so \\boxed{{{a + b}}}." for a in range(20) for b in range(20)]

SHAPE: dict[str, int] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
}  # fmt: skip

GPT2: dict[str, int] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "llama": SHAPE,
    "qwen2": SHAPE,
    "qwen3": SHAPE,
    "gemma2": {**SHAPE, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {**SHAPE, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "olmo2": {name: size for name, size in SHAPE.items() if name != "head_dim"},
    "gpt2": GPT2,
}
"""Rotary and learned positions, windows, soft caps, biases; gemma3_text and olmo2 have no token classifier."""


def bpe(template: bool = False, pad: bool = True) -> Any:
    """A tokenizer of 320 tokens; the end of a turn and the end of a text are two tokens."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(["<|pad|>"] if pad else [])]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|endoftext|>", extra_special_tokens=["<|im_start|>", "<|im_end|>"],
        **({"pad_token": "<|pad|>"} if pad else {}),
    )  # fmt: skip
    if template:
        tokenizer.chat_template = TEMPLATE
    return tokenizer


def config_of(architecture: str, tokenizer: Any, spare: int = 0, tied: bool = True, **more: Any) -> Any:
    """A configuration whose vocabulary has `spare` tokens more than the tokenizer."""
    return AutoConfig.for_model(
        architecture, **{**SHAPES[architecture], **more}, vocab_size=len(tokenizer) + spare, tie_word_embeddings=tied,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=None, initializer_range=0.3,
    )  # fmt: skip


def causal(folder: Path, architecture: str = "qwen3", template: bool = False, pad: bool = True, **shape: Any) -> str:
    """The folder of a random causal model; its generation_config names two stop tokens."""
    tokenizer = bpe(template, pad)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(architecture, tokenizer, **shape))
    stops = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(eos_token_id=stops)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def reward_model(folder: Path, architecture: str = "qwen3", labels: int = 1) -> str:
    """The folder of a random reward model that reads the same tokens."""
    tokenizer = bpe()
    torch.manual_seed(1)
    config = config_of(architecture, tokenizer)
    config.num_labels = labels
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
