"""One token more for every row of a batch: by the Hugging Face model itself, or leaner for architectures known here.

The prompt is read by the Hugging Face model either way. Shapes: B rows, L places so far, H key heads, D numbers per head.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from vapo_core.models.adapters import with_adapters
from vapo_core.models.architecture import is_known

SPARE_SHARE = 0.3
"""Share of rows that must have finished before the cache is packed: packing copies all of it."""


class Decoding(Protocol):
    """A batch being decoded."""

    def read(self, token: Tensor) -> Tensor:
        """[B, V] logits after one more token [B] per row."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, given by their present numbers."""
        ...


def decoding(model: Any, cache: Any, attention: Tensor, room: int) -> Decoding:
    """The leanest way to go on that equals the model.

    Args:
        model: a Hugging Face causal language model.
        cache: its key-value cache after reading the prompts, B rows.
        attention: [B, L], 0 on padding.
        room: most tokens that will be read.
    """
    return (
        LeanDecoding(model, cache, attention, room)
        if is_known(model.config)
        else ModelDecoding(model, cache, attention)
    )


class ModelDecoding:
    """The model with its own cache: any architecture."""

    def __init__(self, model: Any, cache: Any, attention: Tensor) -> None:
        self.model, self.cache, self.attention = model, cache, attention

    def read(self, token: Tensor) -> Tensor:
        """[B, V] logits after one more token [B] per row."""
        self.attention = F.pad(self.attention, (0, 1), value=1)
        place = self.attention.sum(1, keepdim=True) - 1
        return self.model(
            input_ids=token[:, None], attention_mask=self.attention, position_ids=place, past_key_values=self.cache,
            use_cache=True,
        ).logits[:, -1]  # fmt: skip

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""
        self.attention = self.attention[rows]
        self.cache.batch_select_indices(rows)


class LeanDecoding:
    """The same arithmetic with fused projections and a cache that is written in place; equal to the model to 1e-5.

    Under autocast, projections and cache are kept in its type, so that no token pays for casting them again.

    Finished rows stay in the cache, unread, until enough of them have gathered to be worth a copy of the rest.
    """

    def __init__(self, model: Any, cache: Any, attention: Tensor, room: int) -> None:
        self.model, self.length = model, attention.shape[1]
        device = attention.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else model.dtype
        self.layers = [_Layer(layer, dtype) for layer in model.model.layers]
        self.rows = torch.arange(len(attention), device=attention.device)  # where the rows asked for stand in the cache
        self.place = attention.sum(1)
        places = torch.arange(self.length + room, device=attention.device)
        self.turns = model.model.rotary_emb(model.lm_head.weight, places[None])  # cos and sin, each [1, places, D]
        self.mask = F.pad(attention, (0, room), value=1).log().to(model.dtype)[:, None, None]  # 0, or -inf on padding
        self.cache = [F.pad(x.to(dtype), (0, 0, 0, room)) for layer in cache.layers for x in (layer.keys, layer.values)]
        self.embedding, self.head = with_adapters(model.model.embed_tokens), with_adapters(model.lm_head).to(dtype)

    def read(self, token: Tensor) -> Tensor:
        """[B, V] logits after one more token [B] per row."""
        every = token.new_zeros(len(self.place))
        every[self.rows] = token
        inner = self.model.model
        x = F.embedding(every, self.embedding)
        cos, sin = (turn[0, self.place, None] for turn in self.turns)
        mask = self.mask[..., : self.length + 1]
        for number, layer in enumerate(self.layers):
            keys, values = self.cache[2 * number : 2 * number + 2]
            x = layer(x, cos, sin, keys, values, self.length, mask)
        self.length, self.place = self.length + 1, self.place + 1
        return F.linear(inner.norm(x[self.rows]).to(self.head.dtype), self.head)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""
        self.rows = self.rows[rows]
        if len(self.rows) > (1 - SPARE_SHARE) * len(self.place):
            return
        self.cache = [_moved(x, self.rows, self.length) for x in self.cache]
        self.place, self.mask = self.place[self.rows], self.mask[self.rows]
        self.rows = torch.arange(len(self.rows), device=rows.device)


def _moved(x: Tensor, rows: Tensor, length: int) -> Tensor:
    """Some rows of a cache [B, H, places, D]; places from `length` on hold nothing yet."""
    found = x.new_zeros((len(rows), *x.shape[1:]))
    found[:, :, :length] = x[rows, :, :length]
    return found


class _Layer:
    """One transformer block for one new token per row."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        projections = [attention.q_proj, attention.k_proj, attention.v_proj]
        self.first, self.second, self.attention = layer.input_layernorm, layer.post_attention_layernorm, attention
        self.qkv = torch.cat([with_adapters(projection) for projection in projections]).to(dtype)
        biases = [projection.bias for projection in projections if projection.bias is not None]
        self.bias = torch.cat(biases).to(dtype) if biases else None
        self.out = with_adapters(attention.o_proj).to(dtype)
        self.gate_up = torch.cat([with_adapters(mlp.gate_proj), with_adapters(mlp.up_proj)]).to(dtype)
        self.down = with_adapters(mlp.down_proj).to(dtype)
        self.sizes = [projection.out_features for projection in projections]

    def __call__(
        self, x: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, length: int, mask: Tensor
    ) -> Tensor:
        """x [B, hidden] to [B, hidden]; writes the token's key and value at place `length` of [B, H, places, D]."""
        attention, size = self.attention, self.attention.head_dim
        q, k, v = (
            part.view(len(x), -1, size)
            for part in F.linear(_norm(self.first, x).to(self.qkv.dtype), self.qkv, self.bias).split(self.sizes, dim=1)
        )
        if hasattr(attention, "q_norm"):
            q, k = _norm(attention.q_norm, q), _norm(attention.k_norm, k)
        q, k = _turned(q, cos, sin), _turned(k, cos, sin)
        keys[:, :, length], values[:, :, length] = k, v
        heads = keys.shape[1]
        grouped = q.view(len(x), heads, -1, size)  # query heads that share a key head side by side
        # Written out: for one query and small heads it takes half the time of the fused kernel on a CPU.
        score = grouped @ keys[:, :, : length + 1].transpose(2, 3) * attention.scaling + mask
        seen = torch.softmax(score, dim=-1) @ values[:, :, : length + 1]
        x = x + F.linear(seen.reshape(len(x), -1).to(self.out.dtype), self.out)
        gate, up = F.linear(_norm(self.second, x).to(self.gate_up.dtype), self.gate_up).chunk(2, dim=1)
        return x + F.linear(F.silu(gate) * up, self.down)


def _norm(norm: Any, x: Tensor) -> Tensor:
    """RMSNorm in one call; the model's own goes through single precision, which is what it has here."""
    return F.rms_norm(x.to(norm.weight.dtype), norm.weight.shape, norm.weight, norm.variance_epsilon)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions for [B, heads, D]; cos and sin [B, 1, D]."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin
