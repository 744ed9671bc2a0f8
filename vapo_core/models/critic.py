"""Critics: a separate language model with one value per token, and `NoCritic` for recipes without one."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from vapo_core.devices import computing
from vapo_core.models.adapters import is_adapted, load_trained, merged, save_trained
from vapo_core.models.policy import Passes
from vapo_core.models.prefixes import hidden_states, shared_prompts
from vapo_core.models.ragged import in_groups
from vapo_core.models.value_models import head_of, load_values
from vapo_core.types import Batch


class LanguageCritic(nn.Module):
    """A value head on a language model: one number per token, from weights of its own."""

    def __init__(self, model: Any, passes: Passes = Passes()) -> None:  # noqa: B008 (frozen)
        """Args: model, as `value_models` makes them; passes, how batches are read."""
        super().__init__()
        self.model, self.passes = model, passes

    def forward(self, batch: Batch) -> Tensor:
        """[B, T] value of the prefix before each response token, in reward units; 0 where masked."""
        return in_groups(batch, self.read, self.passes.worth, self.passes.most_tokens)[0]

    def read(self, ids: Tensor, attention: Tensor, mask: Tensor, group: Tensor) -> tuple[Tensor]:
        """One pass; ids and attention [b, P + t], mask [b, t], group [b]."""
        tokens, backbone = mask.shape[1], self.model.base_model
        with computing(self.passes.dtype, ids.device):
            prompts = shared_prompts(backbone, ids, attention, tokens, group, self.passes.worth)
            hidden = hidden_states(backbone, ids, attention, tokens, prompts)
        # The head is read in float32: in bfloat16 a value near 1 would come in steps of 1/128.
        values = head_of(self.model)(hidden.float())
        return (values[..., 0].where(mask, 0.0),)

    def save(self, folder: Path) -> None:
        """A folder that AutoModelForTokenClassification loads (where transformers has one for the architecture)."""
        self.model.save_pretrained(folder, state_dict=merged(self.model))
        if is_adapted(self.model):
            save_trained(self.model, folder)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        if is_adapted(self.model):
            load_trained(self.model, folder)
        else:
            load_values(self.model, folder)


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
