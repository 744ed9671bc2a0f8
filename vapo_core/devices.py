"""Device and compute dtype of language models; the only place that looks for a GPU."""

from contextlib import AbstractContextManager, nullcontext

import torch


def device() -> torch.device:
    """The process's GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computing(dtype: torch.dtype, where: torch.device) -> AbstractContextManager[object]:
    """Within it, matrix products are taken in `dtype`, whatever the weights are kept in.

    Weights and optimiser stay float32: AdamW moves a weight by about its rate, 1e-6, while bfloat16's numbers near 0.02
    are 1.2e-4 apart, so a policy kept in bfloat16 would hardly move.
    """
    return nullcontext() if dtype == torch.float32 else torch.autocast(where.type, dtype)


def generator(seed: int, where: torch.device) -> torch.Generator:
    """A random stream that draws on that device; the CPU's is the same on every machine."""
    return torch.Generator(device=where).manual_seed(seed)
