"""Limitation 4, exploration: does VAPO leave deep local optima, and does it narrow down too early?"""

from collections.abc import Mapping
from typing import Any

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core, seeds
from experiments.studies.h4_exploration.exact_runs import exact_runs
from experiments.studies.h4_exploration.real_runs import real_runs
from vapo_core.settings import DEFAULT_SETTINGS

TRAPPED: dict[str, Any] = {"size": 32, "horizon": 24, "trap_reward": 0.2}
DECISIONS = 5
EDGE: tuple[float, ...] = (2.0, 2.25, 2.5, 2.75, 3.0, 3.5)
"""Dial trap_prior: nats for stopping early, at each of five decisions, where runs both escape and are caught; all depths of
preset quick. The question's depth, in nats of the base policy, follows from it."""
BEYOND: tuple[float, ...] = (1.5, 4.0)
"""Depths on either side of the edge, that show where the curves end."""
TRAP_STEPS = 60

TRIO = ("clip_higher", "positive_lm_loss", "group_sampling")

PATHWAYS: dict[str, tuple[dict[str, float], dict[str, str]]] = {
    "entropy_bonus": ({"entropy_coef": 0.01}, {}),
    "temperature": ({"temperature": 1.5}, {}),
    "small_groups": ({"group_size": 4}, {}),
    "large_groups": ({"group_size": 64}, {}),
    "dynamic_sampling": ({}, {"select_groups": "dynamic_sampling"}),
}
"""What else is offered for exploration, beside full VAPO: name -> settings and variants. Groups of any size have as many
responses a step; dynamic sampling (DAPO) draws up to four times as many to find groups whose answers differ. The temperature is
that of the trained policy, which it samples and is evaluated at."""

TEXT_DEPTHS: tuple[float, ...] = (0.85, 0.9, 0.95)
"""Dial guess_share of task trap, the share of demonstrations that guess: around the place where seeds part."""

FORKED: dict[str, Any] = {"size": 16, "horizon": 32, "modes": 2, "hazard": 0}
FORK_STEPS = 100
FORK_RATE, EPOCHS = 5e-4, (2, 1)
"""The policy's rate at the first number of epochs, a quarter of the suite's own, so that J takes a dozen steps from 0.5 to 0.9.
At the other, 1 pass over a batch, the rate is such that a step moves as far; more passes make the loss off-policy."""
FASTER = 1.2
"""1 + mu/J at J = 0.5: the rate of the arm that has no loss but its speed."""
ForkArm = tuple[bool, float, int]
"""(positive_lm_loss, times the policy's rate, epochs)."""
FORK_ARMS: tuple[ForkArm, ...] = ((True, 1.0, 2), (False, 1.0, 2))
"""Of the question."""
OTHER_FORK_ARMS: tuple[ForkArm, ...] = ((False, FASTER, 2), (True, 1.0, 1), (False, 1.0, 1), (False, FASTER, 1))
GATE_WEIGHTS = (10.0, 0.0)
"""mu of the gate."""
OFTEN = 4
"""RL steps between measurements of the modes."""

MAP_DEPTHS = boundaries.Axis(("trap_prior",), (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0))
MAP_DECISIONS = boundaries.Axis(("nearest", "farthest"), (3, 5, 7, 9, 13))

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {"edge": 2, "beyond": 1, "alone": 0, "pathways": 1, "fork": 2, "other_forks": 1, "gate": 2, "text": 1},
    "quick": {"edge": 6, "beyond": 0, "alone": 0, "pathways": 0, "fork": 6, "other_forks": 2, "gate": 6, "text": 2},
    "full": {
        "edge": 100,
        "beyond": 16,
        "alone": 16,
        "pathways": 16,
        "fork": 32,
        "other_forks": 16,
        "gate": 16,
        "text": 8,
    },
}
"""Seeds, the first of the preset's; those of the gate its own."""

REPLICATES: dict[str, int] = {"h4a": SEEDS["full"]["edge"], "h4b": SEEDS["full"]["fork"]}
"""Question -> seeds of its primary estimate at preset full."""


def trapped(
    preset: str,
    seed: int,
    depth: float,
    *off: str,
    settings: Mapping[str, float] | None = None,
    variants: Mapping[str, str] | None = None,
) -> RunSpec:
    """Full VAPO less some components, before a shortcut of this depth."""
    return core.run(
        "walk",
        preset,
        seed,
        toggles=core.without(*off),
        settings=settings,
        variants=variants,
        dials={**TRAPPED, "nearest": DECISIONS, "farthest": DECISIONS, "trap_prior": depth},
        probes={"exploration": TRAP_STEPS},
        steps=None if preset == "smoke" else TRAP_STEPS,
        evaluation=boundaries.EVALUATION,
    )


def trap(preset: str) -> tuple[RunSpec, ...]:
    """All three components and none, most seeds at the edge; each component alone, and other pathways, there."""
    counts = SEEDS[preset]
    singles = [[name for name in TRIO if name != kept] for kept in TRIO]
    both = [(depth, off) for depth in EDGE for off in ((), TRIO)]
    beyond = [(depth, off) for depth in BEYOND for off in ((), TRIO)]
    alone = [(depth, off) for depth in EDGE for off in singles]
    return (
        *(
            trapped(preset, seed, depth, *off)
            for cells, count in ((both, "edge"), (beyond, "beyond"), (alone, "alone"))
            for seed in seeds.first(preset, counts[count])
            for depth, off in cells
        ),
        *(
            trapped(preset, seed, depth, settings=changed, variants=variants)
            for seed in seeds.first(preset, counts["pathways"])
            for depth in EDGE
            for changed, variants in PATHWAYS.values()
        ),
    )


def text_trap(preset: str) -> tuple[RunSpec, ...]:
    """The guessing trap on text: all three components and none."""
    return tuple(
        core.run(
            "lm", preset, seed, toggles=core.without(*off), task="trap", dials={"guess_share": depth}, probes={},
            steps=None if preset == "smoke" else TRAP_STEPS,
        )
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset]["text"]]
        for depth in (TEXT_DEPTHS if preset != "smoke" else TEXT_DEPTHS[:1])
        for off in ((), TRIO)
    )  # fmt: skip


def fork(preset: str) -> tuple[RunSpec, ...]:
    """Two ways of being right: with the positive-example loss and without; other arms on fewer seeds."""
    return tuple(
        forked(preset, seed, loss, faster, epochs)
        for arms, count in ((FORK_ARMS, "fork"), (OTHER_FORK_ARMS, "other_forks"))
        for seed in seeds.first(preset, SEEDS[preset][count])
        for loss, faster, epochs in arms
    )


def gate(preset: str) -> tuple[RunSpec, ...]:
    """Gate of h4b: the loss at a hundred times its weight, and none."""
    return tuple(
        forked(preset, seed, mu > 0, mu=mu or DEFAULT_SETTINGS["walk"].mu)
        for seed in seeds.of_gates(SEEDS[preset]["gate"])
        for mu in GATE_WEIGHTS
    )


def forked(
    preset: str, seed: int, loss: bool, faster: float = 1.0, epochs: int = EPOCHS[0], **settings: float
) -> RunSpec:
    """VAPO with the positive-example loss or without, where two goals are right, the policy's rate times `faster`."""
    rate = FORK_RATE * faster * EPOCHS[0] / epochs
    return core.run(
        "walk",
        preset,
        seed,
        toggles=core.without(*(() if loss else ("positive_lm_loss",))),
        dials=FORKED,
        settings={"policy_lr": rate, "epochs": epochs, **settings},
        probes={"exploration": OFTEN},
        steps=None if preset == "smoke" else FORK_STEPS,
    )


def routes(preset: str) -> tuple[RunSpec, ...]:
    """Four right answers to every problem on text, with the loss and without."""
    return tuple(
        core.run("lm", preset, seed, toggles=core.without(*off), task="routes", probes={"exploration": 5})
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset]["text"]]
        for off in ((), ("positive_lm_loss",))
    )


def boundary(preset: str) -> tuple[RunSpec, ...]:
    """Depth against decisions, which R10 trades one for the other."""
    return boundaries.grid(preset, TRAPPED, MAP_DEPTHS, MAP_DECISIONS, TRAP_STEPS, {"exploration": TRAP_STEPS})


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    edge = (
        trapped(preset, seed, depth, *off)
        for seed in seeds.first(preset, SEEDS[preset]["edge"])
        for depth in EDGE
        for off in ((), TRIO)
    )
    fork = (
        forked(preset, seed, loss, faster, epochs)
        for seed in seeds.first(preset, SEEDS[preset]["fork"])
        for loss, faster, epochs in FORK_ARMS
    )
    return (*edge, *fork)


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    trained = (*gate(preset), *trap(preset), *text_trap(preset), *fork(preset), *routes(preset), *boundary(preset))
    return (*dict.fromkeys(trained), *exact_runs(preset))
