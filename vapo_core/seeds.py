"""Random streams. Every draw is a pure function of (run seed, purpose, step), so resuming needs no saved state."""

import hashlib
from typing import NamedTuple

import numpy as np
import torch

STREAMS = ("data", "init", "sampling", "evaluation", "warmup", "shuffle")


class Seeds(NamedTuple):
    """One seed per purpose; paired arms share all of them."""

    data: int
    init: int
    sampling: int
    evaluation: int
    warmup: int
    shuffle: int


def seeds_of(seed: int) -> Seeds:
    """Independent seeds for every purpose from one run seed."""
    return Seeds(*(child(seed, index) for index in range(len(STREAMS))))


def child(seed: int, *path: int) -> int:
    """A 63-bit seed for a place in the tree under `seed` (numpy's SeedSequence, so neighbours are independent)."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0] >> 1)


def named(name: str) -> int:
    """A 64-bit number for a name, the same in every process, to stand first in a path of `child`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def torch_generator(seed: int, *path: int) -> torch.Generator:
    """A CPU generator for one draw."""
    return torch.Generator().manual_seed(child(seed, *path))
