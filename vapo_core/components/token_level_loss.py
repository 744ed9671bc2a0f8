"""Token-level loss: every token of the batch weighs the same (DAPO, arXiv:2503.14476).

VAPO, arXiv:2504.05118v3, section 4.2, the token-level policy gradient loss. VAPO writes it over the batch; here it is taken over
each mini-batch, whose tokens are its divisor.

Slot: (loss [B, T], mask [B, T]) -> scalar, linear in the loss. Off: the mean over responses of their token means.
It concerns the policy loss only; the value loss has one reduction in every arm.
"""

from functools import partial

from vapo_core.functional.losses import Reduction, constant_mean, length_normalised_mean, sequence_mean, token_mean
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


LENGTH_POWER = 0.75
"""The default of arXiv:2509.07558, which names it alpha: between token mean (0) and least variance (1)."""


def length_normalised(settings: Settings) -> Reduction:
    """A response's summed loss weighs by its length to the power -0.75 (Delta-L normalisation, arXiv:2509.07558)."""
    return partial(length_normalised_mean, power=LENGTH_POWER)


VARIANTS = {"constant_mean": constant, "length_normalised": length_normalised}
