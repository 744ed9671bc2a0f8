"""Passes over responses of unequal length that leave most of the padding out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vapo_core.types import Batch

WORTH_A_PASS = 384
"""Tokens of padding that a pass of its own must save: about what starting one costs a small model on a CPU."""

Run = Callable[[Tensor, Tensor, Tensor], Sequence[Tensor]]
"""(ids [b, P + t], attention [b, P + t], mask [b, t]) -> tensors [b, t]; no row may see another."""


def in_groups(batch: Batch, run: Run, worth: int = WORTH_A_PASS) -> list[Tensor]:
    """What `run` gives for the whole batch, from one pass per group of like lengths, cut after the group's longest.

    Args:
        batch: B responses with `ids` and `attention` [B, P + T], prompts padded left, responses right.
        run: the pass.
        worth: as in `by_length`.

    Returns:
        Tensors [B, T], 0 beyond the longest response of a row's group.
    """
    ids, attention, mask = batch.inputs["ids"], batch.inputs["attention"], batch.mask
    prompt, tokens = ids.shape[1] - mask.shape[1], mask.shape[1]
    lengths = (tokens - mask.flip(1).int().argmax(1)).tolist()
    groups = by_length(lengths, worth)
    if len(groups) == 1:
        return list(run(ids, attention, mask))
    pieces = []
    for group in groups:
        rows, longest = torch.tensor(group, device=ids.device), lengths[group[-1]]
        cut = prompt + longest
        part = run(ids[rows, :cut], attention[rows, :cut], mask[rows, :longest])
        pieces.append([torch.nn.functional.pad(x, (0, tokens - longest)) for x in part])
    back = torch.tensor([row for group in groups for row in group], device=ids.device).argsort()
    return [torch.cat(parts)[back] for parts in zip(*pieces, strict=True)]


def by_length(lengths: Sequence[int], worth: int) -> list[list[int]]:
    """Row numbers in groups of like length, shortest first; what saves more than `worth` tokens of padding is split.

    Args:
        lengths: tokens of every row, at least one row.
        worth: padding a further group must save.
    """
    return _split(sorted(range(len(lengths)), key=lengths.__getitem__), lengths, worth)


def _split(group: list[int], lengths: Sequence[int], worth: int) -> list[list[int]]:
    """The group, or the two that save most and what they split into."""
    longest = lengths[group[-1]]
    saved = [number * (longest - lengths[row]) for number, row in enumerate(group, start=1)]
    most = max(saved)
    if most <= worth:
        return [group]
    cut = saved.index(most) + 1
    return _split(group[:cut], lengths, worth) + _split(group[cut:], lengths, worth)
