"""Limitation 2, lambda = 1 - 1/(alpha l): is it the right form, and how much hangs on alpha?"""

from typing import Any

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core, seeds
from experiments.studies.h2_length_adaptive_gae.exact_runs import exact_runs
from experiments.studies.h2_length_adaptive_gae.real_runs import real_runs

RING: dict[str, Any] = {"size": 64, "horizon": 160, "skill": 1.2, "trap_prior": -1.0}
"""A base policy that seldom stops early, so that problems of 64 decisions can begin."""
NOISY: dict[str, Any] = {"responses_per_step": 32, "group_size": 8, "mini_batches": 2, "critic_start": "outcome"}
"""Few responses and a critic fitted to complete answers: where a horizon that is too long, or too short, costs something."""
REGIMES: dict[str, tuple[int, int]] = {"mixed": (8, 64), "short": (8, 16), "long": (32, 64)}
"""Decisions of the shortest and the longest problems on that ring."""

HORIZONS: tuple[int, ...] = (1, 4, 8, 16, 32, 64, 256)
"""Tokens: lambda = 1 - 1/h as a constant, and alpha = h / 32, whose horizon is h where a response has 32 tokens."""
COARSE: tuple[int, ...] = (4, 16, 64)
WHOLE_LENGTH = 32
OWN = 16
"""The horizon of the suite's alpha, 0.5; its cells carry the probes."""
ENDS = (HORIZONS[0], HORIZONS[-1])
"""Of the gate."""

PROBES: dict[bool, dict[str, int]] = {True: {"lambda_profile": 10, "credit": 30}, False: {"credit": 30}}
"""Of an alpha's cell and of a constant's: gradients can be told from 0 while there is something to learn, about step 10."""

OTHERS: dict[str, dict[str, str]] = {
    "others_length": {"horizon": "others_length"},
    "equal_first_weight": {"length_adaptive_gae": "equal_first_weight"},
    "error_aware": {"horizon": "error_aware"},
}
"""Other ways to lambda, at mixed lengths: name -> variants. The first two take alpha and are tried at several."""

TEXT_ALPHAS, TEXT_LAMBDAS = (0.125, 0.5, 2.0), (0.5, 0.875, 0.95)
"""On text_walk; 0.5 and 0.95 are the core table's own cells."""

FILLERS: tuple[int, ...] = (1, 3, 7)
"""Forced tokens after every decision in the derived cells."""
FILLER_RING: dict[str, Any] = {"size": 32, "horizon": 64, "nearest": 2, "farthest": 32}

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {"mixed": 2, "apart": 1, "rules": 1, "derived": 1, "gate": 2, "text": 2},
    "quick": {"mixed": 4, "apart": 2, "rules": 2, "derived": 1, "gate": 4, "text": 2},
    "full": {"mixed": 96, "apart": 24, "rules": 32, "derived": 16, "gate": 48, "text": 8},
}
"""Seeds, the first of the preset's; those of the gate its own. `apart`: short and long problems."""

REPLICATES: dict[str, int] = {"h2b": SEEDS["full"]["mixed"]}
"""Question -> seeds of its primary estimate at preset full; questions of the exact level have instances instead."""


DECISIONS = boundaries.Axis(("nearest", "farthest"), (3, 5, 9, 13, 17, 25))
FILLER = boundaries.Axis(("filler",), (0, 1, 3, 7, 15))
MAP_RING: dict[str, int] = {"size": 32, "horizon": 64}


def cell(
    preset: str, seed: int, regime: str, horizon: int, adaptive: bool, variants: dict[str, str] | None = None
) -> RunSpec:
    """Full VAPO at one alpha, or without length_adaptive_gae at one lambda, on problems of one regime."""
    shortest, longest = REGIMES[regime]
    setting = {"alpha": horizon / WHOLE_LENGTH} if adaptive else {"fixed_lambda": 1 - 1 / horizon}
    return core.run(
        "walk",
        preset,
        seed,
        toggles=core.without() if adaptive else core.without("length_adaptive_gae"),
        settings={**NOISY, **setting},
        dials={**RING, "nearest": shortest, "farthest": longest},
        variants=variants,
        probes=PROBES[adaptive] if horizon == OWN and not variants else {},
    )


def gate(preset: str) -> tuple[RunSpec, ...]:
    """Gate of h2b: both ends of alpha at mixed lengths."""
    numbers = seeds.of_gates(SEEDS[preset]["gate"])
    return tuple(cell(preset, seed, "mixed", horizon, True) for seed in numbers for horizon in ENDS)


def walk(preset: str) -> tuple[RunSpec, ...]:
    """Every horizon as an alpha and as a constant, in every regime; other rules where lengths are mixed."""
    counts = SEEDS[preset]
    return (
        *(
            cell(preset, seed, regime, horizon, adaptive)
            for regime, count in (("mixed", "mixed"), ("short", "apart"), ("long", "apart"))
            for seed in seeds.first(preset, counts[count])
            for horizon in (HORIZONS if preset == "full" else COARSE)
            for adaptive in (True, False)
        ),
        *(
            cell(preset, seed, "mixed", horizon, True, variants)
            for seed in seeds.first(preset, counts["rules"])
            for name, variants in OTHERS.items()
            for horizon in ((OWN,) if name == "error_aware" else COARSE)
        ),
    )


def derived(preset: str) -> tuple[RunSpec, ...]:
    """A constant lambda on length made of filler, beside the same lambda per decision without filler."""
    return tuple(
        core.run(
            "walk", preset, seed, toggles=core.without("length_adaptive_gae"),
            settings={"fixed_lambda": 0.95 ** (1 if filler else 1 + instead)},
            dials={**FILLER_RING, **({"filler": filler} if filler else {})}, probes={},
        )
        for seed in seeds.first(preset, SEEDS[preset]["derived"])
        for instead in FILLERS
        for filler in (instead, 0)
    )  # fmt: skip


def text(preset: str) -> tuple[RunSpec, ...]:
    """A few alphas and constants on text_walk; those of the core table as it runs them, the others without probes."""
    alphas, lambdas = (TEXT_ALPHAS, TEXT_LAMBDAS) if preset != "smoke" else ((0.5,), (0.95,))
    off = core.without("length_adaptive_gae")
    cells = [
        *(({"alpha": alpha}, core.without(), alpha == 0.5) for alpha in alphas),
        *(({"fixed_lambda": lam}, off, lam == 0.95) for lam in lambdas),
    ]
    return tuple(
        core.run("lm", preset, seed, toggles=toggles, settings=setting, probes=None if shared else {})
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset]["text"]]
        for setting, toggles, shared in cells
    )


def boundary(preset: str) -> tuple[RunSpec, ...]:
    """Decisions against filler: length made of either."""
    return boundaries.grid(preset, MAP_RING, DECISIONS, FILLER, 30, {})


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    return tuple(
        cell(preset, seed, "mixed", horizon, adaptive)
        for seed in seeds.first(preset, SEEDS[preset]["mixed"])
        for horizon in HORIZONS
        for adaptive in (True, False)
    )


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study."""
    if preset == "real":
        return tuple(real_runs())
    trained = (*gate(preset), *walk(preset), *derived(preset), *text(preset), *boundary(preset))
    return (*dict.fromkeys(trained), *exact_runs(preset))
