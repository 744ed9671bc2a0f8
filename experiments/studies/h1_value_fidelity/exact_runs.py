"""Runs of limitation 1, value fidelity at the exact level."""

from experiments.exact_level.plans import (
    AnyPlan,
    Bias,
    Error,
    Sharing,
)
from experiments.specs.exact import ExactSpec
from experiments.studies.exact import FRESH, STATE, of_preset, on_every_family, theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """Bias and noise of the gradient under six kinds of error, at fixed and at variable length, own and shared logits; R1, R9."""
    fixed = of_preset(preset, {"smoke": (16, 64), "quick": (16, 64, 256), "full": (16, 64, 256, 1024)})
    variable = (16, 64, 256) if preset == "full" else (16, 64)
    kinds = (
        STATE,
        Error(kind="autocorrelated", size=0.1, reach=16.0),
        Error(kind="position", size=0.1),
        Error(kind="constant", size=0.1),
        Error(kind="shrinkage", size=0.1),
        FRESH,
    )
    plans: list[AnyPlan] = [
        Bias(measure="bias", error=error, variable=varies, lengths=lengths)
        for error in kinds
        for varies, lengths in ((False, fixed), (True, variable))
    ]
    plans += [Sharing(measure="sharing", error=STATE, variable=varies) for varies in (False, True)]
    return (*on_every_family(plans, preset), *theory(preset, ("r1",), ("r9",)))
