"""The regimes that are searched for one in which PPO fails, and the runs that search and confirm.

Grid, rule and a budget of 4 core-hours were committed before the first run. The budget was used up before the last twelve of 84
regimes, the longest walk at 128 responses and 512 responses at the others, so 72 were searched; `declared` has all.

Every regime is a length, a number of responses a step (noise), and a setting of six factors: how rare right answers are, how
the critic starts, how it is biased, its rate, the width of both networks, and how often a batch is used. Factors follow a
two-level fraction of resolution IV, so no main effect is mixed up with another or with a pair: 16 of the 64 combinations at
the short and the middle length, 8 at the long one. The factors are PPO's and those of its controls: value pretraining, its
warm-up and the rest of VAPO take no part, so the search is blind to what is judged afterwards.

Arms: PPO as the papers describe it (lambda 0.95 for advantages and targets), and two controls, GRPO (no critic) and PPO at
lambda 1 (no bootstrapping). GRPO has no critic, so regimes that differ in critics alone share its runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from analysis.tables.regimes import WALKS, Length
from experiments.specs.spec import RunSpec, TaskSpec, log_every
from vapo_core.settings import DEFAULT_SETTINGS, RECIPES, Base, Evaluation, Settings

SEARCH_SEEDS: tuple[int, ...] = tuple(range(800, 804))
CONFIRMATION_SEEDS: tuple[int, ...] = tuple(range(820, 836))
"""Disjoint from the search's, from those of development (below 800) and from those of preset full (from 1000 on)."""

STEPS = 30
EVALUATION = Evaluation(every=10, problems=64, k_problems=8)
"""The end is what counts."""

GROUP = 8
ARMS: tuple[str, ...] = ("ppo", "ppo_lambda_1", "grpo")

EASY, HARD = "easy", "hard"
"""Starts: the base policy of the declared grid, right about once in 9, or one that is right about once in 180."""

HARD_SKILL: dict[int, float] = {8: -0.75, 32: 0.5, 128: 0.85}
"""Length -> the dial `skill` of a hard start, so that the base policy's exact J is about `BASE_J[HARD]` at every length."""

BASE_J: dict[str, float] = {EASY: 0.11, HARD: 0.005}
"""Exact J of the base policy, mean over held-out problems (seed 700, both widths)."""

FACTORS: tuple[str, ...] = ("start", "critic_start", "critic_bias", "critic_lr", "model", "passes")
LEVELS: dict[str, tuple[Any, Any]] = {
    "start": (EASY, HARD),
    "critic_start": ("backbone", "outcome"),
    "critic_bias": (0.0, 1.0),
    "critic_lr": (2e-3, 1e-2),
    "model": ("tiny", "small"),
    "passes": ((4, 2), (4, 8)),
}
"""Factor -> its level in the declared grid, or the world's own, and another. `passes`: epochs and mini-batches; many of them let
both clips act."""

RESPONSES: tuple[int, ...] = (32, 128)
AMPLE = 512
"""Responses a step far above the noise: the declared grid's two critics, at the two shorter lengths."""
LONGEST = max(length.tokens for length in WALKS)


class Regime(NamedTuple):
    """What is the same in all arms."""

    length: int
    """Decisions of a response, about."""
    responses: int
    start: str
    critic_start: str
    critic_bias: float
    critic_lr: float
    model: str
    passes: tuple[int, int]

    @property
    def name(self) -> str:
        """Such as `128 decisions, 32 responses, hard, outcome, bias 1, rate 0.01, tiny, 4 x 8`."""
        epochs, batches = self.passes
        return (
            f"{self.length} decisions, {self.responses} responses, {self.start}, {self.critic_start}, bias {self.critic_bias:g},"
            f" rate {self.critic_lr:g}, {self.model}, {epochs} x {batches}"
        )


class Planned(NamedTuple):
    """One run of the search."""

    regime: Regime
    arm: str
    seed: int
    spec: RunSpec


def fraction(runs: int) -> list[tuple[int, ...]]:
    """Levels, 0 or 1, of the six factors: E = ABC and F = BCD for 16 runs; D = AB, E = AC, F = BC for 8.

    With 8 runs (resolution III) a main effect is mixed up with pairs; they are enough to find a failing regime, not to explain
    it.
    """
    if runs == 16:
        return [(a, b, c, d, (a + b + c) % 2, (b + c + d) % 2) for a, b, c, d in product((0, 1), repeat=4)]
    return [(a, b, c, (a + b) % 2, (a + c) % 2, (b + c) % 2) for a, b, c in product((0, 1), repeat=3)]


def regimes() -> list[Regime]:
    """All that the budget reached, from short to long."""
    return [regime for regime in declared() if not beyond_budget(regime)]


def beyond_budget(regime: Regime) -> bool:
    """Whether a declared regime was not searched: 4 core-hours were used up before the dearest dozen."""
    return (regime.length, regime.responses) == (LONGEST, max(RESPONSES)) or regime.responses == AMPLE


def declared() -> list[Regime]:
    """All that were declared before the search."""
    crossed = [
        _regime(length, responses, bits)
        for length in WALKS
        for responses in RESPONSES
        for bits in fraction(8 if length.tokens == LONGEST else 16)
    ]
    ample = [
        _regime(length, AMPLE, (0, outcome, 0, 0, 0, 0))
        for length in WALKS
        if length.tokens != LONGEST
        for outcome in (0, 1)
    ]
    return [*crossed, *ample]


def _regime(length: Length, responses: int, bits: Sequence[int]) -> Regime:
    levels = {name: LEVELS[name][bit] for name, bit in zip(FACTORS, bits, strict=True)}
    return Regime(length.tokens, responses, **levels)


def planned(asked: Sequence[Regime], seeds: Sequence[int]) -> Iterator[Planned]:
    """Every arm and seed of these regimes."""
    for regime, seed, arm in product(asked, seeds, ARMS):
        yield Planned(regime, arm, seed, run(regime, arm, seed))


def run(regime: Regime, arm: str, seed: int) -> RunSpec:
    """One arm in one regime."""
    recipe = RECIPES[arm.partition("_")[0]]
    return RunSpec(
        world="walk",
        task=TaskSpec(name="walk", dials=_dials(regime)),
        recipe=arm.partition("_")[0],
        toggles=recipe.toggles,
        settings=_settings(regime, arm),
        variants=dict(recipe.variants),
        base=Base(model=regime.model, init=seed),
        evaluation=EVALUATION,
        seed=seed,
        steps=STEPS,
        log_every=log_every("walk", STEPS),
    )


def _dials(regime: Regime) -> Mapping[str, Any]:
    length = next(length for length in WALKS if length.tokens == regime.length)
    return {**length.dials, **({"skill": HARD_SKILL[regime.length]} if regime.start == HARD else {})}


def _settings(regime: Regime, arm: str) -> Settings:
    epochs, mini_batches = regime.passes
    critic = {"critic_start": regime.critic_start, "critic_bias": regime.critic_bias, "critic_lr": regime.critic_lr}
    changes = {
        "responses_per_step": regime.responses,
        "group_size": GROUP,
        "epochs": epochs,
        "mini_batches": mini_batches,
        **(critic if arm != "grpo" else {}),
        **({"fixed_lambda": 1.0} if arm == "ppo_lambda_1" else {}),
    }
    return Settings(**{**DEFAULT_SETTINGS["walk"].model_dump(), **changes})
