"""GAE in pieces against the loop over time that peers use, over length, with one lambda and with one per response."""

import torch
from torch import Tensor

from experiments.benchmarks.timing import TimingRow, rows, take_turns
from vapo_core.functional.advantages import gae

RESPONSES = 64
LENGTHS, QUICK_LENGTHS = (128, 1024, 8192, 32_768, 131_072), (128, 1024, 8192)


def measure(quick: bool) -> list[TimingRow]:
    """[64, T] to T = 131,072: seconds of both, and how far apart they are, in single and double precision."""
    found = []
    for tokens in QUICK_LENGTHS if quick else LENGTHS:
        rewards, values, mask = _inputs(tokens, torch.float32)
        each = 1 - 1 / (0.4 * torch.linspace(tokens / 8, tokens, RESPONSES))
        for case, lam in (("one lambda", torch.full((RESPONSES,), 0.95)), ("lambda per response", each)):
            ways = {
                "loop": lambda lam=lam: reverse_loop(rewards, values, mask, lam),  # noqa: B023
                "in pieces": lambda lam=lam: gae(rewards, values, mask, lam),  # noqa: B023
            }
            seconds = take_turns(ways, 3 if tokens > 10_000 else 5)
            found += rows("gae", f"{tokens} tokens, {case}", seconds, "loop", RESPONSES * tokens, "tokens")
    return found


def largest_difference(tokens: int, dtype: torch.dtype) -> float:
    """Between the two, over random rewards and values."""
    rewards, values, mask = _inputs(tokens, dtype)
    lam = torch.linspace(0.5, 1.0, RESPONSES, dtype=dtype)
    return float((gae(rewards, values, mask, lam) - reverse_loop(rewards, values, mask, lam)).abs().max())


def reverse_loop(rewards: Tensor, values: Tensor, mask: Tensor, lam: Tensor) -> Tensor:
    """The plain recursion A_t = delta_t + lambda A_{t+1}, token by token from the last; right padding only."""
    advantages = torch.zeros_like(values)
    following, after = torch.zeros_like(lam), torch.zeros_like(lam)
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + following - values[:, t]
        last = delta + lam * after
        inside = mask[:, t]
        advantages[:, t] = torch.where(inside, last, 0.0)
        after, following = torch.where(inside, last, after), torch.where(inside, values[:, t], following)
    return advantages


def _inputs(tokens: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards on last tokens, random values, lengths from an eighth of T to T."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(tokens / 8, tokens, RESPONSES).long()
    mask = torch.arange(tokens) < lengths[:, None]
    rewards = torch.zeros(RESPONSES, tokens, dtype=dtype)
    rewards[torch.arange(RESPONSES), lengths - 1] = 1.0
    return rewards, torch.rand(RESPONSES, tokens, generator=generator, dtype=dtype), mask
