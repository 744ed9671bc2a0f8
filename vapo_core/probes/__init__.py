"""One file per thing measured; probes read only and know no hypothesis. `PROBES[name](view) -> Measurement`."""

from types import ModuleType

from vapo_core.probes import (
    approximation_floor,
    credit,
    curvature,
    exploration,
    forgetting,
    generalization,
    gradient_quality,
    gradient_variance,
    improvement,
    kl_per_gain,
    lambda_profile,
    large_update,
    policy_shift,
    ranking,
    value_error,
    value_transfer,
)
from vapo_core.probes.base import CannotRun, Measurement, Probe, View

__all__ = ["METRICS", "PROBES", "CannotRun", "Measurement", "Probe", "View"]

_FILES: dict[str, ModuleType] = {
    "value_error": value_error,
    "approximation_floor": approximation_floor,
    "ranking": ranking,
    "value_transfer": value_transfer,
    "forgetting": forgetting,
    "gradient_variance": gradient_variance,
    "exploration": exploration,
    "generalization": generalization,
    "policy_shift": policy_shift,
    "lambda_profile": lambda_profile,
    "credit": credit,
    "curvature": curvature,
    "improvement": improvement,
    "gradient_quality": gradient_quality,
    "kl_per_gain": kl_per_gain,
    "large_update": large_update,
}

PROBES: dict[str, Probe] = {name: file.measure for name, file in _FILES.items()}

METRICS: dict[str, tuple[str, str]] = {name: text for file in _FILES.values() for name, text in file.METRICS.items()}
"""Unit and meaning of every number a probe logs."""
