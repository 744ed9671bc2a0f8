"""The largest sizes that a configuration accepts: beyond any experiment, yet small enough to be listed.

Sizes that multiply are bounded together where they meet: `check_product` before anything is listed, `check_memory` before
anything is allocated.
"""

import os
from collections.abc import Mapping
from math import prod

STEPS = 10_000_000
"""RL steps, and steps between one thing and the next."""
WARMUP = 1_000_000
"""Steps of fitting a critic before RL."""
RESPONSES = 1_000_000
"""Responses, or problems, at a time."""
SAMPLES = 10_000_000
"""Responses of an evaluation, problems times answers."""
K = 10_000
"""k of pass@k."""
TOKENS = 1_000_000
"""Tokens of a response."""
POSITIONS = 512
"""Tokens of a prompt and its answer together, of a base model made here."""
RUNS = 20_000
"""Runs of one command."""
WORKERS = 1024
"""Processes of one command."""
SEED = 2**62
"""A seed: with what is added to it, it fits into 64 bits."""
EXACT = 100_000_000
"""States of the walk times decisions: the values that its exact answers are made of."""


def check_product(field: str, sizes: Mapping[str, int], most: int) -> None:
    """Refuse sizes that are allowed individually but whose product is too large.

    Raises:
        ValueError: naming them.
    """
    number = prod(sizes.values())
    if number > most:
        product = " x ".join(f"{size} {name}" for name, size in sizes.items())
        raise ValueError(f"{field}: {product} = {number}, allowed are {most}")


def memory() -> int | None:
    """Bytes of this machine's memory, None if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(field: str, sizes: Mapping[str, int], bytes_each: int) -> None:
    """Refuse arrays larger than this machine's memory.

    Args:
        field: what asks for them.
        sizes: numbers whose product is the number of entries, by name.
        bytes_each: bytes of an entry, at the least.

    Raises:
        ValueError: naming them.
    """
    needed, there = prod(sizes.values()) * bytes_each, memory()
    if there is not None and needed > there:
        product = " x ".join(f"{size} {name}" for name, size in sizes.items())
        gib = 2**30
        raise ValueError(
            f"{field}: {product} take {needed / gib:.0f} GiB, allowed are this machine's {there / gib:.0f} GiB"
        )
