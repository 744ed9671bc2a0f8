"""The component study: what each of the seven is worth, against length and noise, alone and together.

Its regimes stand in `analysis.tables.regimes`; here stand the arms, and in one table how many seeds each part has.

    grid        every regime of the walk: the eleven arms, the eight cells of value_pretraining x decoupled_gae x
                length_adaptive_gae with the other four on, and constant lambdas in place of the adaptive one
    add_one_in  PPO with each component alone, where the critic starts from outcomes
    triple      four of those cells again on more seeds, at the longest answers: question h6b
    shortest    all 2^7 combinations;  longest: a 64-run fraction of them, which aliases no two-way interaction
    pool        group_sampling where both arms meet the same few problems
    text        the same arms and cells on text at two lengths; no fractions
    pathways    alternatives from later papers beside full VAPO at every length

Below preset full the eleven arms of the default walk and text, which other studies share, stand beside them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from analysis.tables.regimes import FAILING, GRID, LONGEST, NOISY, SHORTEST, TEXT, Regime, of_length
from experiments.specs.designs import (
    Cell,
    add_one_in,
    fractional_factorial,
    full_factorial,
    leave_one_out,
    with_baselines,
)
from experiments.specs.spec import RunSpec
from experiments.studies import core
from experiments.studies.components.pathways import PATHWAYS
from experiments.studies.components.real_runs import real_runs
from vapo_core.settings import Evaluation

TRIPLE: tuple[str, ...] = ("value_pretraining", "decoupled_gae", "length_adaptive_gae")
"""The three whose every combination is run in every regime: each says whom the critic's early error reaches."""

CONSTANTS: tuple[float, ...] = (0.8, 0.99, 1.0)
"""Constant lambdas beside the 0.95 of `vapo without length_adaptive_gae`: the best of these four, chosen on other seeds, is the
rival that an adaptive rule has to beat; 1 alone is Monte-Carlo credit."""

SAME_PROMPTS: Mapping[str, Any] = {"pool_size": 16}
"""So few that within a few steps both plans have met every problem: distinct prompts are equal and answers each are, too."""


class Part(NamedTuple):
    """How many seeds a part of the study has at each preset, from the first seed of the preset on."""

    quick: int
    full: int


SIZES: dict[str, Part] = {
    "grid": Part(2, 12),
    "add_one_in": Part(2, 8),
    "triple": Part(0, 48),
    "shortest": Part(0, 4),
    "longest": Part(0, 4),
    "pool": Part(2, 8),
    "text": Part(1, 8),
    "pathways": Part(1, 8),
}
"""Part -> seeds. A seed differs from another by about 0.2 AUC where noise rules, so a part's interval narrows with its seeds
times its regimes; the headline averages over twelve of them. A factorial's effects average over all of its cells, so four
replicates of 128 or 64 say more of each than sixteen of two."""

STEPS: dict[str, int] = {"walk": 30, "lm": 30}
EVALUATION: dict[str, Evaluation] = {
    "walk": Evaluation(every=6, problems=64, k_problems=8),
    "lm": Evaluation(every=5, problems=256, k_problems=8),
}
"""Exact J at 256 decisions takes as long as several steps, so it is asked every sixth."""

MEASURED: tuple[str, ...] = ("gradient_variance",)
"""On full VAPO at both ends of a run: the noise scale, to which responses a step are compared."""


def cells() -> list[Cell]:
    """The eleven arms, then those of the eight cells that are none of them: 15."""
    combinations = [cell for cell in full_factorial() if off(cell) <= set(TRIPLE)]
    return list(dict.fromkeys([*with_baselines(leave_one_out(), core.BASELINES), *combinations]))


def off(cell: Cell) -> set[str]:
    """Names of the components that are off."""
    return {name for name, on in cell.toggles.model_dump().items() if not on}


def constants(values: Iterable[float] = CONSTANTS) -> list[Cell]:
    """VAPO without length_adaptive_gae at other constants."""
    toggles = core.without("length_adaptive_gae")
    return [Cell("vapo", toggles, (("fixed_lambda", value),)) for value in values]


def pair_cells() -> list[Cell]:
    """Both of value_pretraining and length_adaptive_gae on and off, the other five on: the corners of h6b."""
    names = ("value_pretraining", "length_adaptive_gae")
    return [Cell("vapo", core.without(*some)) for some in ((), names[:1], names[1:], names)]


def seeds(part: str, preset: str, world: str = "walk") -> tuple[int, ...]:
    """The first seeds of a preset, as many as the part has; one where it is tried out in smoke."""
    if preset == "smoke":
        return core.SEEDS[world]["smoke"][:1]
    first = core.SEEDS[world][preset][0]
    return tuple(range(first, first + getattr(SIZES[part], preset)))


def in_regime(regime: Regime, preset: str, seed: int, cell: Cell, variants: Mapping[str, str] | None = None) -> RunSpec:
    """One run of an arm in a regime."""
    small = core.SMALL | {"group_size": 8} if preset == "smoke" else {}
    plain = cell == Cell("vapo", core.without()) and not variants
    return core.run(
        regime.world, preset, seed, cell.recipe, cell.toggles,
        {**regime.settings, **small, **dict(cell.settings)}, regime.length.task, {**regime.length.dials, **dict(cell.dials)},
        variants, dict.fromkeys(MEASURED, core.STEPS[regime.world][preset]) if plain and preset != "smoke" else {},
        None if preset == "smoke" else STEPS[regime.world], None if preset == "smoke" else EVALUATION[regime.world],
    )  # fmt: skip


def of_cells(part: str, preset: str, regimes: Iterable[Regime], arms: Iterable[Cell]) -> Iterator[RunSpec]:
    """Every arm in every regime, one seed after the other."""
    listed, places = list(arms), list(regimes)
    for world in dict.fromkeys(regime.world for regime in places):
        for seed in seeds(part, preset, world):
            for regime in places:
                if regime.world == world:
                    yield from (in_regime(regime, preset, seed, cell) for cell in listed)


def grid(preset: str) -> Iterator[RunSpec]:
    """The walk's regimes, those of PPO's failure among them."""
    regimes = {"smoke": (GRID[1],), "quick": NOISY}.get(preset, (*GRID, *FAILING))
    yield from of_cells("grid", preset, regimes, [*cells(), *constants()])
    added = [regime for regime in regimes if regime.settings["critic_start"] == "outcome"]
    yield from of_cells("add_one_in", preset, added, add_one_in())


def factorials(preset: str) -> Iterator[RunSpec]:
    """All combinations at the shortest answers and a fraction at the longest, and the corners of h6b; few responses a step."""
    noisy = {regime.length.tokens: regime for regime in NOISY}
    yield from of_cells("shortest", preset, [noisy[SHORTEST]], full_factorial())
    yield from of_cells("longest", preset, [noisy[LONGEST]], fractional_factorial(64))
    yield from of_cells("triple", preset, of_length(LONGEST), pair_cells())


def same_prompts(preset: str) -> Iterator[RunSpec]:
    """group_sampling on and off from one small pool, at every length."""
    arms = [Cell("vapo", core.without(*some), tuple(SAME_PROMPTS.items())) for some in ((), ("group_sampling",))]
    yield from of_cells("pool", preset, NOISY, arms)


def text(preset: str) -> Iterator[RunSpec]:
    """The arms, cells and constant lambda 1 on text."""
    yield from of_cells("text", preset, TEXT, [*cells(), *constants((1.0,))])


def pathways(preset: str) -> Iterator[RunSpec]:
    """Alternatives beside full VAPO: variants of a slot, settings or a dial."""
    for regime in (*NOISY, *TEXT):
        for seed in seeds("pathways", preset, regime.world):
            for pathway in PATHWAYS:
                if regime.world == "walk" or not pathway.dials:
                    yield in_regime(regime, preset, seed, pathway.cell, pathway.variants)


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    arms = [cell for cell in cells() if cell.label in ("vapo", "ppo", "grpo")]
    return tuple(of_cells("grid", preset, NOISY, arms))


def specs(preset: str) -> tuple[RunSpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    own = [*grid(preset)]
    if preset != "smoke":
        own += [*factorials(preset), *same_prompts(preset), *text(preset), *pathways(preset)]
    shared = () if preset == "full" else (*core.walk(preset), *core.lm(preset))
    return tuple(dict.fromkeys([*own, *shared]))
