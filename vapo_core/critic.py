"""Critics: a separate language model with one value per token, and the critic that is not there."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from vapo_core.policy import positions
from vapo_core.ragged import in_groups
from vapo_core.types import Batch


class LanguageCritic(nn.Module):
    """Token classification with one label; its own weights, started from the policy's backbone with a fresh head."""

    def __init__(self, policy_model: Any, bias: float) -> None:
        """Args: policy_model, a transformers causal LM; bias, added to the head's output in reward units."""
        super().__init__()
        from transformers import AutoConfig, AutoModelForTokenClassification

        labels = ("id2label", "label2id")
        shape = {key: value for key, value in policy_model.config.to_dict().items() if key not in labels}
        config = AutoConfig.for_model(**shape, num_labels=1)
        config.classifier_dropout = 0.0  # the default of 0.1 would make values random
        self.model = AutoModelForTokenClassification.from_config(config)
        self.model.base_model.load_state_dict(policy_model.base_model.state_dict())
        nn.init.normal_(self.model.score.weight, std=0.02)
        nn.init.constant_(self.model.score.bias, bias)

    def forward(self, batch: Batch) -> Tensor:
        """[B, T] value of the prefix before each response token, in reward units; 0 where masked."""
        return in_groups(batch, self.read)[0]

    def read(self, ids: Tensor, attention: Tensor, mask: Tensor) -> tuple[Tensor]:
        """One pass; ids and attention [b, P + t], mask [b, t]."""
        logits = self.model(
            input_ids=ids, attention_mask=attention, position_ids=positions(attention), use_cache=False
        ).logits
        return (logits[:, -mask.shape[1] - 1 : -1, 0].float().where(mask, 0.0),)

    def save(self, folder: Path) -> None:
        """A folder that AutoModelForTokenClassification loads."""
        self.model.save_pretrained(folder)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        load_model(self.model, str(folder / "model.safetensors"))


class NoCritic(nn.Module):
    """Zero values, so its loss against zero targets is zero. The parameter lets a learner step it like any other."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch) -> Tensor:
        """[B, T] zeros."""
        return self.zero * 0.0 + torch.zeros_like(batch.logp_old)

    def save(self, folder: Path) -> None:
        """Nothing worth reading, so that a checkpoint looks the same for every recipe."""
        folder.mkdir(parents=True)
        save_model(self, str(folder / "model.safetensors"))

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        load_model(self, str(folder / "model.safetensors"))
