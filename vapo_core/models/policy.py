"""A Hugging Face causal language model as policy: log-probability and entropy of response tokens."""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vapo_core.devices import computing
from vapo_core.models.prefixes import hidden_states, positions, shared_prompts
from vapo_core.models.ragged import WORTH_A_PASS, in_groups
from vapo_core.types import Batch

MANY_LOGITS = 2**26
"""Numbers in a pass's logits from which log-probabilities are taken piece by piece and, on the way back, again: with a
vocabulary of 150,000 every float32 copy of a thousand tokens' logits is 0.6 GB."""


class Passes(NamedTuple):
    """How a language model reads a batch; no result depends on it but by rounding."""

    dtype: torch.dtype = torch.float32
    """As in `devices.computing`."""
    most_tokens: float = float("inf")
    """As in `ragged.in_groups`."""
    worth: float = WORTH_A_PASS
    """Tokens that a further pass must save, be it padding (`ragged.by_length`) or prompts (`prefixes.shared_prompts`)."""

    def at_once(self) -> Self:
        """The same with every batch in one pass."""
        return self._replace(most_tokens=float("inf"), worth=float("inf"))


class LanguagePolicy(nn.Module):
    """Wraps a causal LM. `batch.inputs` holds `ids` and `attention`, [B, P + T]: prompt padded left, response right."""

    def __init__(self, model: Any, temperature: float, passes: Passes = Passes()) -> None:  # noqa: B008 (frozen)
        super().__init__()
        self.model, self.temperature, self.passes = model, temperature, passes

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probability of each response token and entropy of its distribution, both [B, T] nats; 0 where masked."""
        logp, entropy = in_groups(batch, self.read, self.passes.worth, self.passes.most_tokens)
        return logp, entropy

    def read(self, ids: Tensor, attention: Tensor, mask: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """One pass; ids and attention [b, P + t], mask [b, t], group [b]."""
        tokens = mask.shape[1]
        with computing(self.passes.dtype, ids.device):
            logits = self._logits(ids, attention, tokens, group)
        logp, entropy = token_statistics(logits, ids[:, -tokens:], self.temperature)
        return logp.where(mask, 0.0), entropy.where(mask, 0.0)

    def _logits(self, ids: Tensor, attention: Tensor, tokens: int, group: Tensor) -> Tensor:
        """[b, t, V] of each response token."""
        prompts = shared_prompts(self.model, ids, attention, tokens, group, self.passes.worth)
        if prompts is not None:
            return self.model.lm_head(hidden_states(self.model.base_model, ids, attention, tokens, prompts))
        return self.model(
            input_ids=ids,
            attention_mask=attention,
            position_ids=positions(attention),
            use_cache=False,
            logits_to_keep=tokens + 1,
        ).logits[:, :-1]


def token_statistics(logits: Tensor, ids: Tensor, temperature: float, many: int = MANY_LOGITS) -> tuple[Tensor, Tensor]:
    """Log-probability of given tokens and entropy of the distributions they are from, both [b, t] nats.

    Args:
        logits: [b, t, V], of any floating type; the softmax is taken in float32.
        ids: [b, t].
        temperature: of the softmax.
        many: logits beyond which it is done in pieces.
    """
    if logits.numel() <= many:
        return _statistics(logits, ids, temperature)
    size = max(1, many // logits.shape[-1])
    pieces = [
        checkpoint(_statistics, x, token, temperature, use_reentrant=False)
        for x, token in zip(logits.flatten(0, 1).split(size), ids.flatten().split(size), strict=True)
    ]
    logp, entropy = (torch.cat(parts).view(ids.shape) for parts in zip(*pieces, strict=True))
    return logp, entropy


def _statistics(logits: Tensor, ids: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Shapes [..., V] and [...]."""
    rows = torch.log_softmax(logits.float() / temperature, dim=-1)
    logp = rows.gather(-1, ids[..., None]).squeeze(-1)
    return logp, -(rows.exp() * rows).sum(-1)
