"""Runs of limitation 3, the token-level loss at the exact level."""

from experiments.exact_level.plans import (
    AnyPlan,
    Error,
    Reductions,
)
from experiments.specs.exact import ExactSpec
from experiments.studies.exact import EXACT, STATE, on_every_family, theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """Token mean against sequence mean: three critics, more and less spread of length, own and shared logits; R5, R6."""
    lengths = (16, 64) if preset == "full" else (16,)
    critics = (EXACT, Error(kind="shrinkage", size=1.0), STATE)
    plans: list[AnyPlan] = [
        Reductions(measure="reductions", error=error, spare=spare, shared=shared, lengths=lengths,
                   samples=20_000 if preset == "full" else 5_000)
        for error in critics
        for spare in (1.25, 4.0)
        for shared in (False, True)
    ]  # fmt: skip
    return (*on_every_family(plans, preset), *theory(preset, ("r5",), ("r6",)))
