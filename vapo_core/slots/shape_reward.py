"""What is added to the verifier's reward because of a response's length. Shapes: B responses."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vapo_core.settings import Settings

Shape = Callable[[Tensor, int], Tensor]
"""(lengths [B], most tokens) -> what is added to each reward [B]."""


def no_shaping(lengths: Tensor, max_tokens: int) -> Tensor:
    """[B] zeros: the verifier's word is the whole reward."""
    return torch.zeros(len(lengths))


def soft_overlong(settings: Settings) -> Callable[[Tensor, int], Tensor]:
    """DAPO's soft overlong punishment: 0 up to (1 - share) L, then linear to -1 at the limit L (arXiv:2503.14476, eq. 13)."""

    def penalty(lengths: Tensor, max_tokens: int) -> Tensor:
        start = (1 - settings.overlong_share) * max_tokens
        return -((lengths - start) / (max_tokens - start)).clamp(0.0, 1.0)

    return penalty


def default(settings: Settings) -> Shape:
    """Nothing."""
    return no_shaping


VARIANTS: Mapping[str, Callable[[Settings], Shape]] = {"soft_overlong": soft_overlong}
