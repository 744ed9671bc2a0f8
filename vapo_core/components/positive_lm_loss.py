"""Positive-example LM loss: imitate the answers that were right (VAPO, arXiv:2504.05118, eq. 11-12).

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
