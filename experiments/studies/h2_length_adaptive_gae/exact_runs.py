"""Runs of limitation 2, length-adaptive GAE at the exact level."""

from experiments.exact_level.plans import (
    AnyPlan,
    Error,
    Horizon,
    Rules,
)
from experiments.specs.exact import ExactSpec
from experiments.studies.exact import EXACT, FRESH, STATE, of_preset, on_every_family, theory


def exact_runs(preset: str) -> tuple[ExactSpec, ...]:
    """Best horizons along length; rules at variable length; R2, R3, R4, R11. Quick and full have the estimand's own lengths."""
    short = of_preset(preset, {"smoke": (64, 256), "quick": (64, 256, 1024), "full": (64, 256, 1024, 4096)})
    sizes = (0.03, 0.1, 0.3)
    plans: list[AnyPlan] = [
        Horizon(measure="horizon", lengths=short) if preset == "smoke" else Horizon(measure="horizon"),
        Horizon(measure="horizon", lengths=short, sizes=sizes),
        Horizon(measure="horizon", lengths=short, sizes=sizes, growth="filler"),
        Horizon(measure="horizon", lengths=short, growth="slow", error=Error(kind="self_similar", reach=12.5)),
        Horizon(measure="horizon", lengths=short, error=Error(kind="autocorrelated", reach=16.0)),
        Horizon(measure="horizon", lengths=short, error=EXACT),
        Horizon(measure="horizon", lengths=short, error=Error(kind="shrinkage", size=0.5), sizes=(0.5,)),
        Horizon(measure="horizon", lengths=short, error=FRESH),
    ]
    lengths = (16,) if preset == "smoke" else (16, 64, 128)
    plans += [Rules(measure="rules", error=error, lengths=lengths) for error in (EXACT, STATE)]
    if preset == "full":
        far = Horizon(measure="horizon", lengths=(2048, 16384, 131072), observed=32, points=40, longest=20_000.0)
        plans.append(far)
    return (*on_every_family(plans, preset), *theory(preset, ("r3", "r4", "r11"), ("r2",)))
