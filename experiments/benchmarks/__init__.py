"""What things cost, side by side: `PARTS[name](quick) -> rows`. Imported when asked for, since each pulls in torch."""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.benchmarks.timing import TimingRow

PARTS: dict[str, str] = {
    "rl_step": "one RL step against the bare decode, forward and backward of its tokens",
    "trl_step": "one RL step against TRL's GRPOTrainer (needs the extra `bench`)",
    "engines": "vLLM's CPU build against our engine: tokens per second, what a recipe learns (needs `make vllm`)",
    "rollouts": "tokens per second of our engine and of generate",
    "advantages": "GAE in pieces against the loop over time",
    "per_response": "gradients of every response against one gradient of the batch",
    "continuations": "the Monte-Carlo oracle with and without shared prefixes",
    "walk_runs": "complete walk runs per core-minute; exact moments",
    "walk_lengths": "walk runs at 10, 145 and 500 tokens by phase, beside the bare passes of their networks; probes",
    "long_walks": "the same for walks long by decisions, with 32 and 128 responses a step",
    "text_lengths": "the same for text at 14, 55 and 105 tokens",
    "grid": "throughput against workers, tracking's share, start-up",
    "memory": "peak and growth of a tiny run",
    "real_model": "RL steps of a checkpoint's shape in bfloat16: tokens per second, memory, share of peak (for a GPU)",
}
"""Parts by file name, with what each measures."""


NEEDS: dict[str, tuple[str, str]] = {
    "trl_step": ("trl", "pip install -e '.[bench]'"),
    "engines": ("vllm", "`make vllm` installs its CPU build"),
}
"""Part -> package it needs, and how to get it."""

ASKED_FOR = frozenset(NEEDS)
"""Parts that need what is not installed by default."""


def require_part(name: str) -> None:
    """See that what a part needs is installed, before any part is measured.

    Raises:
        ValueError: if it is not, saying how to install it.
    """
    package, remedy = NEEDS.get(name, ("", ""))
    if package and find_spec(package) is None:
        raise ValueError(f"parts: {name} needs the package {package}, which is not installed; {remedy}")


def part(name: str) -> Callable[[bool], "list[TimingRow]"]:
    """The function of a part: quick -> rows."""
    return importlib.import_module(f"experiments.benchmarks.{name}").measure
