"""Random models to time, and engines that write answers of scripted lengths."""

from typing import Any

import torch

from vapo_core.models.base_model import SIZES, character_tokenizer
from vapo_core.rollout.transformers import TransformersEngine

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789=+"
WIDTHS: dict[str, dict[str, int]] = {
    "tiny": SIZES["tiny"],
    "w128": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4},
}
"""The base model of most runs, and width 128 with 3 layers, at which TRL was first timed."""


def model_of(size: str, architecture: str = "llama") -> tuple[Any, Any]:
    """A random model and its tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = character_tokenizer(ALPHABET)
    shape = WIDTHS[size]
    heads = shape["num_attention_heads"]
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture, **shape, head_dim=shape["hidden_size"] // heads, num_key_value_heads=heads,
        vocab_size=len(tokenizer), max_position_embeddings=512, tie_word_embeddings=False, bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=None,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval(), tokenizer


MIXED = [160 if i % 10 == 0 else 16 for i in range(256)]
"""Lengths of 256 answers. Nine in ten are short; whoever decodes until the last has ended writes ten times too much for
them."""


class NeverStops:
    """A tokenizer whose stop token is never sampled, so that answers end where their script says."""

    eos_token_id = -5

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The tokenizer's own reading."""
        return self._tokenizer(*arguments, **named)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def scripted_engine(model: Any, tokenizer: Any, most: int) -> TransformersEngine:
    """An engine whose answers end at their limits only."""
    return TransformersEngine(model, NeverStops(tokenizer), 1.0, most)


def prompts_of(tokenizer: Any, number: int) -> list[list[int]]:
    """Prompts of 12 tokens."""
    return tokenizer([ALPHABET[i % 20 : i % 20 + 12] for i in range(number)])["input_ids"]
