"""One file per thing measured; probes read only and know no hypothesis. `PROBES[name](view) -> Measurement`."""

from types import ModuleType

from vapo_core.probes import exploration, generalization, gradient_variance, policy_shift, value_error
from vapo_core.probes.base import CannotRun, Measurement, Probe, View

__all__ = ["METRICS", "PROBES", "CannotRun", "Measurement", "Probe", "View"]

_FILES: dict[str, ModuleType] = {
    "value_error": value_error,
    "gradient_variance": gradient_variance,
    "exploration": exploration,
    "generalization": generalization,
    "policy_shift": policy_shift,
}

PROBES: dict[str, Probe] = {name: file.measure for name, file in _FILES.items()}

METRICS: dict[str, tuple[str, str]] = {name: text for file in _FILES.values() for name, text in file.METRICS.items()}
"""Unit and meaning of every number a probe logs."""
