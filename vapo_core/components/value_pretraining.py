"""Value-pretraining: fit the critic to returns of the frozen policy before RL (VC-PPO, arXiv:2503.01491, section 4.1).

Slot: int, steps of pretraining. Off: 0 steps.
"""

from vapo_core.settings import Settings


def on(settings: Settings) -> int:
    """The paper's 50 steps by default."""
    return settings.warmup_steps


def off(settings: Settings) -> int:
    """RL starts with the critic as it was initialised."""
    return 0


VARIANTS: dict = {}
