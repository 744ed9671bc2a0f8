"""Every measurement of the exact level by name."""

from collections.abc import Callable
from typing import Any

from experiments.exact_level import bias, blame, horizon, reductions, rules, sharing, theory, updates
from experiments.exact_level.measured import Measured

MEASURES: dict[str, Callable[[Any, int], Measured]] = {
    "bias": bias.measure,
    "sharing": sharing.measure,
    "horizon": horizon.measure,
    "rules": rules.measure,
    "reductions": reductions.measure,
    "updates": updates.measure,
    "blame": blame.measure,
    "theory": theory.measure,
}
"""Name -> function of (plan, seed)."""
