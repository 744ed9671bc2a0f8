"""Advantage estimators. Pure: tensors in, tensors out. Shapes: B responses, T tokens."""

from collections.abc import Iterator

import torch
from torch import Tensor


def gae(rewards: Tensor, values: Tensor, mask: Tensor, lam: Tensor | float, gamma: float = 1.0) -> Tensor:
    """Generalised advantage estimates, A_t = sum_k (gamma lambda)^k delta_{t+k}.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 after the last token (Schulman et al. 2016, arXiv:1506.02438,
    eq. 11-16). A masked token, wherever it stands, is skipped as if it had been removed from the response.

    Args:
        rewards: [B, T], reward received after each token.
        values: [B, T], value of the prefix before each token.
        mask: [B, T] bool, true on response tokens.
        lam: [B] or float in [0, 1].
        gamma: discount in [0, 1].

    Returns:
        [B, T] advantages in reward units, 0 where masked.

    Raises:
        ValueError: if the shapes disagree.
    """
    if not rewards.shape == values.shape == mask.shape or rewards.ndim != 2:
        raise ValueError(f"gae needs equal [B, T] shapes, got {rewards.shape}, {values.shape}, {mask.shape}")
    mask = mask.bool()
    if not all(map(_is_prefix, mask.split(_rows_at_a_time(mask)))):
        order = torch.argsort(~mask, dim=1, stable=True)  # valid tokens first, their order kept
        packed = gae(rewards.gather(1, order), values.gather(1, order), mask.gather(1, order), lam, gamma)
        return torch.zeros_like(packed).scatter(1, order, packed).where(mask, 0.0)
    advantages = torch.empty_like(values, dtype=torch.result_type(rewards, values))
    decay = gamma * torch.as_tensor(lam, dtype=advantages.dtype, device=mask.device).expand(len(mask))
    for rows, longest in _pieces(mask):
        part = rows, slice(longest)
        advantages[rows, longest:] = 0.0
        value = values[part].where(mask[part], 0.0)
        delta = rewards[part].where(mask[part], 0.0).sub_(value)
        delta[:, :-1].add_(value[:, 1:], alpha=gamma)
        advantages[part] = _discounted_suffix_sums(delta, decay[rows])  # 0 on padding, since delta is
    return advantages


PIECE = 2**18
"""Tokens worked on at a time: they stay in a core's cache, and no memory is asked for anew."""


def _rows_at_a_time(mask: Tensor) -> int:
    return max(1, PIECE // max(1, mask.shape[1]))


def _is_prefix(mask: Tensor) -> bool:
    """Whether valid tokens come first in every row."""
    falls = mask[:, 1:] <= mask[:, :-1]
    return not falls.numel() or bool(falls.view(torch.uint8).min())  # several times as fast as all()


def _pieces(mask: Tensor) -> Iterator[tuple[slice, int]]:
    """Rows that are worked on together, and how far the longest of them reaches, in whole blocks where they fit.

    mask: [B, T] bool, prefixes.
    """
    rows, tokens = _rows_at_a_time(mask), mask.shape[1]
    for number, part in enumerate(mask.split(rows)):
        rest = (~part).contiguous().view(torch.uint8)
        longest = int(torch.searchsorted(rest, torch.ones_like(rest[:, :1])).max()) if rest.numel() else 0
        yield slice(number * rows, (number + 1) * rows), min(tokens, -(-longest // BLOCK) * BLOCK)


BLOCK = 64
"""Tokens whose sums one matrix product makes; longer blocks cost arithmetic, shorter ones memory traffic."""


def _discounted_suffix_sums(x: Tensor, decay: Tensor) -> Tensor:
    """sum_k decay^k x_{t+k} for every t, in a few passes over memory instead of T steps. x: [B, T]; decay: [B] in [0, 1].

    Within blocks it is one product with the matrix of powers decay^(j - i); what a block takes over from all later ones
    is a scan over blocks.
    """
    rows, tokens = x.shape
    if tokens <= BLOCK:
        return _doubled(x, decay)
    place = torch.arange(BLOCK, device=x.device)
    power = _flushed(decay[:, None] ** torch.arange(BLOCK + 1, device=x.device))  # [B, BLOCK + 1]
    gap = place[None, :] - place[:, None]
    within = power[:, gap.abs()].where(gap >= 0, 0.0)  # [B, i, j]
    blocks = (torch.nn.functional.pad(x, (0, -tokens % BLOCK)) if tokens % BLOCK else x).view(rows, -1, BLOCK)
    inside = blocks @ within.transpose(1, 2)
    later = _doubled(inside[:, 1:, 0], power[:, -1])  # sums at the start of the next block
    inside[:, :-1].baddbmm_(later[:, :, None], power[:, 1:].flip(1)[:, None, :])
    return inside.view(rows, -1)[:, :tokens]


def _doubled(x: Tensor, decay: Tensor) -> Tensor:
    """The same sums by recursive doubling: after the pass with shift s, entry t holds its first 2s terms."""
    factor, shift = decay[:, None], 1
    while shift < x.shape[1]:
        x = torch.cat([x[:, :-shift] + factor * x[:, shift:], x[:, -shift:]], dim=1)
        factor, shift = _flushed(factor * factor), 2 * shift
    return x


def _flushed(x: Tensor) -> Tensor:
    """Powers too small to count as 0: arithmetic with subnormal numbers is a hundred times slower on a CPU."""
    return x.where(x > 1e-30, 0.0)


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float = 1.0) -> Tensor:
    """Monte-Carlo return from each token on, [B, T]; equals gae with lambda 1 and zero values."""
    return gae(rewards, torch.zeros_like(rewards), mask, 1.0, gamma)


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """(x - mean) / sqrt(var + 1e-8) over valid tokens, variance with n - 1 as in verl; 0 where masked. [B, T].

    Raises:
        ValueError: with fewer than two valid tokens, where the variance does not exist.
    """
    mask = mask.bool()
    count = mask.sum()
    if count < 2:
        raise ValueError(f"whiten needs at least 2 valid tokens, got {int(count)}")
    mean = x.where(mask, 0.0).sum() / count
    centred = (x - mean).where(mask, 0.0)
    variance = centred.square().sum() / (count - 1)
    return centred * torch.rsqrt(variance + 1e-8)


def group_relative(rewards: Tensor, group: Tensor, epsilon: float = 1e-6) -> Tensor:
    """GRPO's advantage per response, (r - mean) / (std + epsilon) within its prompt (arXiv:2402.03300, section 4.1.2).

    The standard deviation has n - 1, as in TRL and verl.

    Args:
        rewards: [B].
        group: [B] int, prompt of each response; every prompt needs two responses or more.
        epsilon: guards groups whose rewards are all equal (their advantage is 0).

    Returns:
        [B] in units of the group's standard deviation.

    Raises:
        ValueError: if a group has a single response.
    """
    counts = torch.bincount(group)
    if (counts[counts > 0] < 2).any():
        raise ValueError("group_relative needs at least 2 answers per prompt")
    size = counts.clamp(min=1).to(rewards)
    mean = torch.zeros_like(size).index_add(0, group, rewards) / size
    centred = rewards - mean[group]
    variance = torch.zeros_like(size).index_add(0, group, centred.square()) / (size - 1).clamp(min=1)
    return centred / (variance.sqrt()[group] + epsilon)
