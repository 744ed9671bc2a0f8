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


def positive_only(settings: Settings) -> Whiten:
    """Only tokens that turned out better than expected teach: advantages below 0 become 0, after normalisation.

    arXiv:2506.01347 trains on right answers alone, or on wrong ones alone, and finds that the first sharpens (pass@1 up, pass@k
    down) and the second keeps diversity. It drops whole answers; with a critic the sign belongs to the token.
    """
    normalise = default(settings)
    return lambda x, mask: normalise(x, mask).clamp(min=0.0)


def negative_only(settings: Settings) -> Whiten:
    """Only tokens that turned out worse than expected teach: advantages above 0 become 0, after normalisation (as above)."""
    normalise = default(settings)
    return lambda x, mask: normalise(x, mask).clamp(max=0.0)


VARIANTS: Mapping[str, Callable[[Settings], Whiten]] = {
    "none": lambda settings: unwhitened,
    "positive_only": positive_only,
    "negative_only": negative_only,
}
