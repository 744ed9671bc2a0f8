"""Losses and reductions by the name others import them by; they live in `functional/losses.py`."""

from vapo_core.functional.losses import sequence_mean, token_mean

__all__ = ["sequence_mean", "token_mean"]
