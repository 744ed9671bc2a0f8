"""Tokens per second of our engine and of `generate`, over batch and length."""

from typing import Any

import torch

from experiments.benchmarks.models import MIXED, model_of, prompts_of, scripted_engine
from experiments.benchmarks.timing import TimingRow, rows, take_turns

CASES = ((64, 32), (256, 32), (256, 128))
QUICK_CASES = ((64, 32),)


def measure(quick: bool) -> list[TimingRow]:
    """Answers of one length, then of two; no answer ends before its limit."""
    found = []
    for size in ("tiny",) if quick else ("tiny", "w128"):
        model, tokenizer = model_of(size)
        for batch, tokens in QUICK_CASES if quick else CASES:
            found += _case(model, tokenizer, f"{size}, {batch} answers of {tokens}", [tokens] * batch, quick)
        if not quick:
            found += _case(model, tokenizer, f"{size}, 256 answers, 9 of 16 to 1 of 160", MIXED, quick)
    return found


def _case(model: Any, tokenizer: Any, case: str, lengths: list[int], quick: bool) -> list[TimingRow]:
    prompts = prompts_of(tokenizer, len(lengths))
    engine = scripted_engine(model, tokenizer, max(lengths))
    ways = {
        "generate": lambda: generate(model, tokenizer, prompts, max(lengths)),
        "engine": lambda: engine.complete(prompts, lengths, 0),
    }
    return rows("rollouts", case, take_turns(ways, 3 if quick else 5), "generate", sum(lengths), "tokens")


def generate(model: Any, tokenizer: Any, prompts: list[list[int]], tokens: int) -> torch.Tensor:
    """Hugging Face's own sampling of `tokens` tokens for every prompt; there, a finished row is computed to the end."""
    ids = torch.tensor(prompts)
    return model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, max_new_tokens=tokens,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=None,
    )  # fmt: skip
