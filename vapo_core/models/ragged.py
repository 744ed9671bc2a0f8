"""Passes over responses of unequal length that leave most of the padding out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vapo_core.types import Batch

WORTH_A_PASS = 384
"""Tokens of padding that a pass of its own must save: about what starting one costs a small model on a CPU."""

Run = Callable[[Tensor, Tensor, Tensor, Tensor], Sequence[Tensor]]
"""(ids [b, P + t], attention [b, P + t], mask [b, t], group [b]) -> tensors [b, t]; no row may see another."""


def in_groups(batch: Batch, run: Run, worth: float = WORTH_A_PASS, most_tokens: float = float("inf")) -> list[Tensor]:
    """What `run` gives for the whole batch, from one pass per group of like lengths, cut to what some row of it has.

    Args:
        batch: B responses with `ids` and `attention` [B, P + T], prompts padded left, responses right.
        run: the pass.
        worth: as in `by_length`.
        most_tokens: as in `within`.

    Returns:
        Tensors [B, T], 0 beyond the longest response of a row's group.
    """
    ids, attention, mask = batch.inputs["ids"], batch.inputs["attention"], batch.mask
    prompt, tokens = ids.shape[1] - mask.shape[1], mask.shape[1]
    prompts, lengths = extents(batch)
    groups = [part for group in by_length(lengths, worth) for part in within(group, prompts, lengths, most_tokens)]
    pieces = []
    for group in groups:
        # all rows at once stay in their order and are not copied
        rows = slice(None) if len(groups) == 1 else torch.tensor(group, device=ids.device)
        longest = max(lengths[row] for row in group)
        seen = slice(prompt - max(prompts[row] for row in group), prompt + longest)
        part = run(ids[rows, seen], attention[rows, seen], mask[rows, :longest], batch.group[rows])
        pieces.append([torch.nn.functional.pad(x, (0, tokens - longest)) for x in part])
    if len(groups) == 1:
        return pieces[0]
    back = torch.tensor([row for group in groups for row in group], device=ids.device).argsort()
    return [torch.cat(parts)[back] for parts in zip(*pieces, strict=True)]


def extents(batch: Batch) -> tuple[list[int], list[int]]:
    """Tokens of every row left of its response, from the first one read, and through its last valid one."""
    mask = batch.mask
    lengths = mask.shape[1] - mask.flip(1).int().argmax(1)
    read = batch.inputs.get("attention", mask)
    before = read[:, : read.shape[1] - mask.shape[1]]
    if not before.shape[1]:
        return [0] * len(mask), lengths.tolist()
    return (before.shape[1] - before.int().argmax(1)).tolist(), lengths.tolist()


def within(group: list[int], prompts: Sequence[int], lengths: Sequence[int], most: float) -> list[list[int]]:
    """The group in runs that read at most `most` tokens each, padding counted; a longer single row goes alone.

    Args:
        group: row numbers, in an order that keeps like lengths together.
        prompts, lengths: tokens of every row before its response and of it.
        most: tokens; infinite for the group as it is.
    """
    runs: list[list[int]] = [[]]
    widest = longest = 0
    for row in group:
        widest, longest = max(widest, prompts[row]), max(longest, lengths[row])
        if runs[-1] and (len(runs[-1]) + 1) * (widest + longest) > most:
            runs.append([])
            widest, longest = prompts[row], lengths[row]
        runs[-1].append(row)
    return runs


def micro_batches(batch: Batch, slices: int, most_tokens: float) -> list[Tensor]:
    """Row numbers of the slices whose gradients add up to the batch's: equal parts, each within a budget of tokens.

    Args:
        batch: B responses.
        slices: parts of equal numbers of responses.
        most_tokens: as in `within`; a part above it is sorted by length and split again.
    """
    parts = torch.arange(len(batch.mask)).chunk(slices)
    if most_tokens == float("inf"):
        return list(parts)
    prompts, lengths = extents(batch)
    found = []
    for part in parts:
        rows = part.tolist()
        if len(within(rows, prompts, lengths, most_tokens)) > 1:
            rows.sort(key=lambda row: prompts[row] + lengths[row])
        found += [torch.tensor(run, dtype=torch.long) for run in within(rows, prompts, lengths, most_tokens)]
    return found


def by_length(lengths: Sequence[int], worth: float) -> list[list[int]]:
    """Row numbers in groups of like length, shortest first; what saves more than `worth` tokens of padding is split.

    Args:
        lengths: tokens of every row, at least one row.
        worth: padding a further group must save.
    """
    return _split(sorted(range(len(lengths)), key=lengths.__getitem__), lengths, worth)


def _split(group: list[int], lengths: Sequence[int], worth: float) -> list[list[int]]:
    """The group, or the two that save most and what they split into."""
    longest = lengths[group[-1]]
    saved = [number * (longest - lengths[row]) for number, row in enumerate(group, start=1)]
    most = max(saved)
    if most <= worth:
        return [group]
    cut = saved.index(most) + 1
    return _split(group[:cut], lengths, worth) + _split(group[cut:], lengths, worth)
