"""A compact VAPO trainer. `from vapo_core import train` is the whole API; imports stay light until it is used."""

from typing import Any

__all__ = ["RECIPES", "Base", "Evaluation", "FunctionTask", "Problem", "Settings", "Toggles", "train"]

_HOMES = {
    "train": "vapo_core.api",
    "Problem": "vapo_core.types",
    "FunctionTask": "vapo_core.tasks.base",
    "Base": "vapo_core.settings",
    "Evaluation": "vapo_core.settings",
    "Settings": "vapo_core.settings",
    "Toggles": "vapo_core.settings",
    "RECIPES": "vapo_core.settings",
}


def __getattr__(name: str) -> Any:
    """Import torch and transformers only when something that needs them is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vapo_core' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
