"""Positive-example LM loss: imitate the answers that were right.

VAPO, arXiv:2504.05118v3, section 4.3, the positive-example LM loss L_NLL and its sum with L_PPO. The mean is taken over the
tokens of correct answers of a mini-batch; the paper does not say over which batch.

Slot: (logp [B, T], mask [B, T], correct [B]) -> scalar, linear in logp: L = L_PPO + mu L_NLL. Off: mu = 0.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from vapo_core.functional.losses import nll
from vapo_core.settings import Settings

Slot = Callable[[Tensor, Tensor, Tensor], Tensor]


def on(settings: Settings) -> Slot:
    """mu times the mean negative log-likelihood over tokens of correct answers."""
    return partial(nll, mu=settings.mu)


def off(settings: Settings) -> Slot:
    """No imitation."""
    return lambda logp, mask, correct: logp.new_zeros(())


VARIANTS: dict = {}
