"""Runs of limitation 7, credit assignment at the exact level."""

from experiments.exact_level.plans import (
    Blame,
)
from experiments.specs.exact import ExactSpec
from experiments.studies.exact import FRESH, STATE, on_every_family, theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """Blame for a planted error under six critics; R12."""
    lengths = (512, 2048) if preset == "smoke" else (512, 2048, 8192, 32768, 131072)
    critics: tuple[dict[str, object], ...] = (
        {}, {"error": FRESH}, {"error": STATE}, {"delay": 64}, {"delay_share": 0.05}, {"blind": True},
    )  # fmt: skip
    plans = [Blame.model_validate({"measure": "blame", "lengths": lengths, **critic}) for critic in critics]
    return (*on_every_family(plans, preset), *theory(preset, (), ("r12",)))
