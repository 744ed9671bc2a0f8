"""A compact VAPO trainer. docs/api.md shows its API; imports stay light until something is used."""

from typing import Any

__all__ = [
    "DEFAULT_SETTINGS", "RECIPES", "TASKS", "Base", "Evaluation", "FunctionTask", "Grade", "Problem", "Settings", "Toggles",
    "train",
]  # fmt: skip

_HOMES = {
    "train": "vapo_core.api",
    "Problem": "vapo_core.types",
    "FunctionTask": "vapo_core.tasks.base",
    "Base": "vapo_core.settings",
    "Evaluation": "vapo_core.settings",
    "Settings": "vapo_core.settings",
    "Toggles": "vapo_core.settings",
    "RECIPES": "vapo_core.settings",
    "DEFAULT_SETTINGS": "vapo_core.settings",
    "Grade": "vapo_core.tasks.base",
    "TASKS": "vapo_core.tasks",
}


def __getattr__(name: str) -> Any:
    """Import torch and transformers only when something that needs them is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vapo_core' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
