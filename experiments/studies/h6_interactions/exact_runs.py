"""Runs of limitation 6, interactions at the exact level."""

from experiments.exact_level.plans import (
    AnyPlan,
    Error,
    Updates,
)
from experiments.specs.exact import ExactSpec
from experiments.studies.exact import EXACT, STATE, on_every_family, theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """Infinite-batch updates: full VAPO by critic, optimiser and kind of length, then without parts of it; R8."""
    count = 10 if preset == "smoke" else 60
    critics = (EXACT, STATE, Error(kind="state", size=0.3))
    full: list[AnyPlan] = [
        Updates(measure="updates", error=error, adam=adam, move=0.02 if adam else 0.05, updates=count,
                variable=varies, lengths=(4,) if varies else (8,), spare=2.0)
        for error in critics
        for adam in (False, True)
        for varies in (False, True)
    ]  # fmt: skip
    parts = ({"lam": 1.0}, {"mu": 0.0}, {"clip_high": 0.2}, {"reduction": "sequence_mean"})
    base = {"measure": "updates", "error": STATE, "adam": True, "move": 0.02, "updates": count,
            "variable": True, "lengths": (4,), "spare": 2.0}  # fmt: skip
    without = [Updates.model_validate({**base, **part}) for part in parts]
    return (*on_every_family([*full, *without], preset), *theory(preset, ("r8",), ()))
