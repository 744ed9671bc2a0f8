"""A critic whose values a test chooses."""

import torch

from vapo_core.types import Batch


class Told(torch.nn.Module):
    """A critic that says what it was told."""

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.values
