"""Every run of the exact level, by study: sampled families of problems, one run each per thing measured.

Measured on one core: smoke takes 10 s, quick 3 minutes, full an hour, all studies together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from experiments.exact_level.plans import (
    AnyPlan,
    Bias,
    Blame,
    Error,
    Horizon,
    Reductions,
    Result,
    Rules,
    Sharing,
    Theory,
    Updates,
)
from experiments.specs.exact import ExactSpec, exact_spec

Choice = TypeVar("Choice")

FAMILIES: dict[str, tuple[int, int]] = {"smoke": (0, 2), "quick": (100, 6), "full": (1000, 64)}
"""Preset -> first seed and number of sampled families, the replicates."""

EXACT = Error(kind="none", size=0.0)
STATE = Error(kind="state", size=0.1)
FRESH = Error(kind="none", size=0.0, noise=0.1)


def seeds(preset: str) -> range:
    """Seeds of the sampled families.

    Raises:
        ValueError: for an unknown preset.
    """
    first, number = of_preset(preset, FAMILIES)
    return range(first, first + number)


def of_preset(preset: str, choices: Mapping[str, Choice]) -> Choice:
    """What a preset has.

    Raises:
        ValueError: for an unknown preset.
    """
    if preset not in choices:
        raise ValueError(f"preset: no exact runs for {preset!r} (allowed: {', '.join(choices)})")
    return choices[preset]


def h1(preset: str) -> tuple[ExactSpec, ...]:
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
    return (*_each(plans, preset), *_theory(preset, ("r1",), ("r9",)))


def h2(preset: str) -> tuple[ExactSpec, ...]:
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
    return (*_each(plans, preset), *_theory(preset, ("r3", "r4", "r11"), ("r2",)))


def h3(preset: str) -> tuple[ExactSpec, ...]:
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
    return (*_each(plans, preset), *_theory(preset, ("r5",), ("r6",)))


def h4(preset: str) -> tuple[ExactSpec, ...]:
    """R7, R10."""
    return _theory(preset, (), ("r7", "r10"))


def h5(preset: str) -> tuple[ExactSpec, ...]:
    """R13."""
    return _theory(preset, (), ("r13",))


def h6(preset: str) -> tuple[ExactSpec, ...]:
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
    return (*_each([*full, *without], preset), *_theory(preset, ("r8",), ()))


def h7(preset: str) -> tuple[ExactSpec, ...]:
    """Blame for a planted error under six critics; R12."""
    lengths = (512, 2048) if preset == "smoke" else (512, 2048, 8192, 32768, 131072)
    critics: tuple[dict[str, object], ...] = (
        {}, {"error": FRESH}, {"error": STATE}, {"delay": 64}, {"delay_share": 0.05}, {"blind": True},
    )  # fmt: skip
    plans = [Blame.model_validate({"measure": "blame", "lengths": lengths, **critic}) for critic in critics]
    return (*_each(plans, preset), *_theory(preset, (), ("r12",)))


ALL = {"h1": h1, "h2": h2, "h3": h3, "h4": h4, "h5": h5, "h6": h6, "h7": h7}
"""Limitation -> its runs at the exact level."""


def _each(plans: Sequence[AnyPlan], preset: str) -> tuple[ExactSpec, ...]:
    """Every plan on every family, family by family."""
    return tuple(exact_spec(plan, seed) for seed in seeds(preset) for plan in plans)


def _theory(preset: str, sampled: Iterable[Result], closed: Iterable[Result]) -> tuple[ExactSpec, ...]:
    """Results shown on sampled problems, one run per family; and those that are the same for all, one run."""
    drawn = [Theory(measure="theory", result=result) for result in sampled]
    once = tuple(exact_spec(Theory(measure="theory", result=result), seeds(preset)[0]) for result in closed)
    return (*_each(drawn, preset), *once)
