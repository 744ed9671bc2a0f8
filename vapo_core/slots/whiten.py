"""How advantages are normalised over a batch before the update. Shapes: B responses, T tokens."""

from collections.abc import Callable, Mapping

from torch import Tensor

from vapo_core.functional.advantages import whiten
from vapo_core.settings import Settings

Whiten = Callable[[Tensor, Tensor], Tensor]
"""(advantages [B, T], mask [B, T]) -> advantages [B, T]."""


def unwhitened(x: Tensor, mask: Tensor) -> Tensor:
    """Advantages as they are."""
    return x


def default(settings: Settings) -> Whiten:
    """To mean 0 and variance 1 over the valid tokens, where the settings ask for it."""
    return whiten if settings.whitening else unwhitened


VARIANTS: Mapping[str, Callable[[Settings], Whiten]] = {"none": lambda settings: unwhitened}
