"""Limitation 2, lambda = 1 - 1/(alpha l): is it the right form, and how much hangs on alpha?"""

from analysis.verdict.questions import Floor, Question
from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core, exact_specs, real

QUESTIONS: dict[str, Question] = {
    "h2a": Question(
        id="h2a",
        question="Is 1 - 1/(alpha l) the optimal form?",
        estimand=(
            "1 - beta, beta = d log h* / d log l: h* = 1/(1 - lambda*) maximises the gradient quality Q at B = 512 responses,"
            " for a frozen error of standard deviation 0.1, independent from state to state, where length is made of more"
            " decisions of one kind; one slope per sampled family of five lengths from 64 to 16,384 tokens. Other batches,"
            " errors and kinds of length, regret of each form, and learned levels are secondary."
        ),
        unit="slope of log h* on log l",
        prediction=(
            "Positive, 2/3: bias^2 falls as (tau / (tau + h))^2 with the error's reach tau, variance grows as h/(2 l n), so h*"
            " = (4 sigma^2 tau^2 l n / v)^(1/3) (R4), while VAPO's h = alpha l has beta = 1. 1 - beta is 0 only where length"
            " is filler over which the error persists, or errors reach in proportion to length at a size that does not"
            " depend on it; an exact critic wants lambda = 0 at every length."
        ),
        threshold=0.25,  # a quarter off mis-sets h by a factor of 2 over a 16-fold range of lengths
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor("families whose h* lies inside the grid of horizons at every length, share of all", 0.8),
    ),
    "h2b": Question(
        id="h2b",
        question="How sensitive is it to alpha, and when does it hurt long sequences?",
        estimand=(
            "area under the learning curve of the best constant lambda minus that of the best alpha, each chosen on the other"
            " half of the seeds (mean of ten halvings) from eight settings of equal horizons, 1 to 128 tokens at a length of"
            " 16; mixed lengths: a ring of 32 cells with problems of 2 to 32 decisions. Short (up to 8) and long (from 17)"
            " problems apart, the width in decades of the alphas within 0.02 AUC of the best, and an alpha tuned on short"
            " problems but used on long ones are secondary."
        ),
        unit="AUC",
        prediction=(
            "Positive: where the best horizon goes with the cube root of the length (R4), a constant misses it by a power of"
            " 1/3 and alpha l by a power of 2/3, so at lengths that differ 16-fold the rule costs more than the constant does."
            " The best alpha falls as l^(-2/3); one tuned on short answers is too large for long ones, which costs variance,"
            " and a horizon ten times too short costs five times as much as one ten times too long (33 to 6.7)."
        ),
        threshold=0.02,
        primary="walk",
        also=("exact", "tiny_lm"),
        floor=Floor("coefficient of variation of response length within a step, runs of mixed lengths", 0.3),
    ),
}

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
        return tuple(real.h2())
    return (*walk(preset), *text(preset), *boundary(preset), *exact_specs.h2(preset))
