"""Advantage estimators by the name others import them by; they live in `functional/advantages.py`."""

from vapo_core.functional.advantages import gae, group_relative, returns_to_go, whiten

__all__ = ["gae", "group_relative", "returns_to_go", "whiten"]
