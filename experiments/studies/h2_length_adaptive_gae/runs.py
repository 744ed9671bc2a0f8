"""Limitation 2, lambda = 1 - 1/(alpha l): is it the right form, and how much hangs on alpha?"""

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core
from experiments.studies.h2_length_adaptive_gae.exact_runs import exact_runs
from experiments.studies.h2_length_adaptive_gae.real_runs import real_runs

RING: dict[str, int] = {"size": 32, "horizon": 64}
REGIMES: dict[str, tuple[int, int]] = {"short": (2, 8), "long": (17, 32), "mixed": (2, 32)}
"""Decisions of the shortest and the longest problems on that ring."""

HORIZONS: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
"""Tokens: lambda = 1 - 1/h as a constant, and alpha = h / 16, whose horizon is h where a response has 16 tokens."""
COARSE: tuple[int, ...] = (2, 8, 32)
WHOLE_LENGTH = 16
OWN = 8
"""The horizon of the suite's alpha, 0.5; its cells carry the probes."""

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

SEEDS: dict[str, tuple[int, int]] = {"smoke": (2, 2), "quick": (4, 2), "full": (32, 32)}
"""Seeds on the walk and on text, the first of the core tables'."""


DECISIONS = boundaries.Axis(("nearest", "farthest"), (3, 5, 9, 13, 17, 25))
FILLER = boundaries.Axis(("filler",), (0, 1, 3, 7, 15))


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
        settings=setting,
        dials={**RING, "nearest": shortest, "farthest": longest},
        variants=variants,
        probes=PROBES[adaptive] if horizon == OWN and not variants else {},
    )


def walk(preset: str) -> tuple[RunSpec, ...]:
    """Every horizon as an alpha and as a constant, in every regime; other rules where lengths are mixed."""
    horizons = HORIZONS if preset == "full" else COARSE
    return tuple(
        spec
        for seed in core.SEEDS["walk"][preset][: SEEDS[preset][0]]
        for spec in (
            *(cell(preset, seed, r, h, adaptive) for r in REGIMES for h in horizons for adaptive in (True, False)),
            *(
                cell(preset, seed, "mixed", h, True, variants)
                for name, variants in OTHERS.items()
                for h in ((OWN,) if name == "error_aware" else COARSE)
            ),
        )
    )


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
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset][1]]
        for setting, toggles, shared in cells
    )


def boundary(preset: str) -> tuple[RunSpec, ...]:
    """Decisions against filler: length made of either."""
    return boundaries.grid(preset, RING, DECISIONS, FILLER, 30, {})


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study."""
    if preset == "real":
        return tuple(real_runs())
    return (*walk(preset), *text(preset), *boundary(preset), *exact_runs(preset))
