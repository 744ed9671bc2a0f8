"""The component table: what each of the seven is worth to full VAPO on these tasks, beside the VAPO paper's Table 1.

These seven are no questions of the limitations paper: they get estimates, intervals and activities, and no verdict.

Cost, from runs measured on one core: quick half a core-hour, full 7.6 core-hours.
"""

from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.components.real_runs import real_runs


def specs(preset: str) -> tuple[RunSpec, ...]:
    """The core tables."""
    if preset == "real":
        return tuple(real_runs())
    return (*core.walk(preset), *core.lm(preset))
