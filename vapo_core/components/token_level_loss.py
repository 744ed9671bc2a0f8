"""Token-level loss: every token of the batch weighs the same (DAPO, arXiv:2503.14476; VAPO, eq. 10).

Slot: (loss [B, T], mask [B, T]) -> scalar, linear in the loss. Off: the mean over responses of their token means.
It concerns the policy loss only; the value loss has one reduction in every arm.
"""

from functools import partial

from vapo_core.functional.losses import Reduction, constant_mean, sequence_mean, token_mean
from vapo_core.settings import Settings


def on(settings: Settings) -> Reduction:
    """Sum over tokens / number of tokens in the batch."""
    return token_mean


def off(settings: Settings) -> Reduction:
    """Sample-level: long responses are weighted down per token."""
    return sequence_mean


def constant(settings: Settings) -> Reduction:
    """Sum over tokens / a constant (Dr. GRPO, arXiv:2503.20783): a normaliser that no response can move."""
    return partial(constant_mean, max_tokens=settings.normaliser_tokens)


VARIANTS = {"constant_mean": constant}
