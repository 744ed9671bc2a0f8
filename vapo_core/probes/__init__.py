"""One file per thing measured; probes read only and know no hypothesis. `PROBES[name](view) -> Measurement`."""

from vapo_core.probes import exploration, generalization, gradient_variance, policy_shift, value_error
from vapo_core.probes.base import CannotRun, Measurement, Probe, View

__all__ = ["PROBES", "CannotRun", "Measurement", "Probe", "View"]

PROBES: dict[str, Probe] = {
    "value_error": value_error.measure,
    "gradient_variance": gradient_variance.measure,
    "exploration": exploration.measure,
    "generalization": generalization.measure,
    "policy_shift": policy_shift.measure,
}
