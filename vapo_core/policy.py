"""A Hugging Face causal language model as policy: log-probability and entropy of response tokens."""

import torch
from torch import Tensor, nn

from vapo_core.ragged import in_groups
from vapo_core.types import Batch


def positions(attention: Tensor) -> Tensor:
    """[B, L] position of every token when padding is not counted."""
    return (attention.long().cumsum(1) - 1).clamp(min=0)


class LanguagePolicy(nn.Module):
    """Wraps a causal LM. `batch.inputs` holds `ids` and `attention`, [B, P + T]: prompt padded left, response right."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probability of each response token and entropy of its distribution, both [B, T] nats; 0 where masked."""
        logp, entropy = in_groups(batch, self.read)
        return logp, entropy

    def read(self, ids: Tensor, attention: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """One pass; ids and attention [b, P + t], mask [b, t]."""
        tokens = mask.shape[1]
        logits = self.model(
            input_ids=ids,
            attention_mask=attention,
            position_ids=positions(attention),
            use_cache=False,
            logits_to_keep=tokens + 1,
        ).logits[:, :-1]
        rows = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        logp = rows.gather(2, ids[:, -tokens:, None]).squeeze(2)
        entropy = -(rows.exp() * rows).sum(2)
        return logp.where(mask, 0.0), entropy.where(mask, 0.0)
