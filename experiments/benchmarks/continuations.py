"""Monte-Carlo oracle: continuations per second when a prefix is read once for all of them, and when each reads it anew."""

import numpy as np

from experiments.benchmarks.models import model_of, prompts_of, scripted_engine
from experiments.benchmarks.timing import TimingRow, rows, take_turns

CONTINUATIONS, TOKENS = 16, 24


def measure(quick: bool) -> list[TimingRow]:
    """Prefixes of 12 to 60 tokens, 16 continuations of 24 tokens each."""
    model, tokenizer = model_of("tiny")
    engine = scripted_engine(model, tokenizer, TOKENS)
    number = 16 if quick else 64
    lengths = np.linspace(0, 48, number).astype(int)
    prefixes = [p + [3] * int(n) for p, n in zip(prompts_of(tokenizer, number), lengths, strict=True)]
    again = [p for p in prefixes for _ in range(CONTINUATIONS)]
    ways = {
        "each reads its prefix": lambda: engine.complete(again, TOKENS, 0),
        "prefixes shared": lambda: engine.complete(prefixes, TOKENS, 0, CONTINUATIONS),
    }
    case = f"tiny, {number} prefixes x {CONTINUATIONS} of {TOKENS} tokens"
    seconds = take_turns(ways, 3 if quick else 7)
    return rows("continuations", case, seconds, "each reads its prefix", len(again), "continuations")
