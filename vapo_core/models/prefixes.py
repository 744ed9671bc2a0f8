"""Passes over responses that read a prompt once for all of its answers.

Every answer attends to its prompt's keys and values, so these are computed once and repeated, and gradients of all answers
flow back through them. Results are those of reading every prompt for itself, up to rounding. Shapes: b rows of one pass, P
prompt and t response tokens, d distinct prompts.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vapo_core.models.architecture import is_known


def positions(attention: Tensor) -> Tensor:
    """[B, L] position of every token when padding is not counted."""
    return (attention.long().cumsum(1) - 1).clamp(min=0)


class Prompts(NamedTuple):
    """The distinct prompts of a pass."""

    row: Tensor
    """[d] a row that begins with each."""
    which: Tensor
    """[b] number of each row's prompt among them."""


def shared_prompts(
    model: Any, ids: Tensor, attention: Tensor, tokens: int, group: Tensor, worth: float
) -> Prompts | None:
    """Distinct prompts, or None where each row had better read its own.

    Args:
        model: a Hugging Face model; it has to be known here, and must keep its activations.
        ids, attention: [b, P + t].
        tokens: t.
        group: [b] int; rows of different groups share nothing, whatever their prompts are.
        worth: tokens that sharing must save.
    """
    width = ids.shape[1] - tokens
    if len(ids) * width <= worth or not is_known(model.config) or model.is_gradient_checkpointing:
        return None
    key = torch.cat([group[:, None], ids[:, :width].where(attention[:, :width].bool(), -1)], dim=1)
    distinct, which = torch.unique(key, dim=0, return_inverse=True)
    if (len(ids) - len(distinct)) * width <= worth:
        return None
    row = which.new_zeros(len(distinct)).scatter_(0, which, torch.arange(len(ids), device=ids.device))
    return Prompts(row, which)


def hidden_states(backbone: Any, ids: Tensor, attention: Tensor, tokens: int, prompts: Prompts | None) -> Tensor:
    """[b, t, hidden] the backbone's output at the place before each response token.

    Args:
        backbone: a Hugging Face model without a head.
        ids, attention: [b, P + t].
        tokens: t.
        prompts: as `shared_prompts` gives them.
    """
    place = positions(attention)
    if prompts is None:
        read = backbone(input_ids=ids, attention_mask=attention, position_ids=place, use_cache=False)
        return read.last_hidden_state[:, -tokens - 1 : -1]
    begin = ids.shape[1] - tokens
    one = (prompts.row, slice(0, begin))
    first = backbone(input_ids=ids[one], attention_mask=attention[one], position_ids=place[one], use_cache=True)
    last = first.last_hidden_state[:, -1:].index_select(0, prompts.which)
    if tokens == 1:
        return last
    cache = first.past_key_values
    for layer in cache.layers:
        layer.keys, layer.values = (x.index_select(0, prompts.which) for x in (layer.keys, layer.values))
    rest = backbone(
        input_ids=ids[:, begin:-1], attention_mask=attention[:, :-1], position_ids=place[:, begin:-1],
        past_key_values=cache, use_cache=True,
    ).last_hidden_state  # fmt: skip
    return torch.cat([last, rest], dim=1)
