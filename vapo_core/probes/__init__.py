"""One file per thing measured; probes read only and know no hypothesis. `PROBES[name](view) -> Measurement`.

A probe is a file or folder of this folder, named as in `vapo_core.settings.PROBES`, with METRICS and `measure(view)`.
"""

from importlib import import_module
from types import ModuleType

from vapo_core import settings
from vapo_core.probes.base import CannotRun, Measurement, Probe, View

__all__ = ["METRICS", "PROBES", "CannotRun", "Measurement", "Probe", "View"]

_FILES: dict[str, ModuleType] = {name: import_module(f"{__name__}.{name}") for name in settings.PROBES}

PROBES: dict[str, Probe] = {name: file.measure for name, file in _FILES.items()}

METRICS: dict[str, tuple[str, str]] = {name: text for file in _FILES.values() for name, text in file.METRICS.items()}
"""Unit and meaning of every number a probe logs."""
