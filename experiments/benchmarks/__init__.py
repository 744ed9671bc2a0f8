"""What things cost, side by side: `PARTS[name](quick) -> rows`. Imported when asked for, since each pulls in torch."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.benchmarks.timing import Row

PARTS: dict[str, str] = {
    "rl_step": "one RL step against the bare decode, forward and backward of its tokens",
    "trl_step": "one RL step against TRL's GRPOTrainer (needs the extra `bench`)",
    "engines": "vLLM's CPU build against our engine: tokens per second, what a recipe learns (needs `make vllm`)",
    "rollouts": "tokens per second of our engine and of generate",
    "advantages": "GAE in pieces against the loop over time",
    "per_response": "gradients of every response against one gradient of the batch",
    "continuations": "the Monte-Carlo oracle with and without shared prefixes",
    "walk_runs": "whole walk runs per core-minute; exact moments",
    "grid": "throughput against workers, tracking's share, start-up",
    "memory": "peak and growth of a tiny run",
    "real_model": "RL steps of a checkpoint's shape in bfloat16: tokens per second, memory, share of peak (for a GPU)",
}
"""Parts by file name, with what each measures."""

ASKED_FOR = frozenset({"trl_step", "engines"})
"""Parts that need what is not installed by default."""


def part(name: str) -> Callable[[bool], "list[Row]"]:
    """The function of a part: quick -> rows."""
    return importlib.import_module(f"experiments.benchmarks.{name}").measure
