"""Limitation 4, exploration: does VAPO leave deep local optima, and does it narrow down too early?"""

from typing import Any

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core
from experiments.studies.h4_exploration.exact_runs import exact_runs
from experiments.studies.h4_exploration.real_runs import real_runs
from vapo_core.settings import DEFAULT_SETTINGS

TRAPPED: dict[str, Any] = {"size": 32, "horizon": 24, "trap_reward": 0.2}
DECISIONS = 5
DEPTHS: tuple[float, ...] = (1.0, 1.5, 1.75, 1.875, 2.0, 2.125, 2.25, 2.375, 2.5, 2.625, 2.75, 3.0, 3.5, 4.0)
"""Dial trap_prior: nats for stopping early, at each of five decisions. The question's depth follows from the base policy."""
EDGE: tuple[float, ...] = (1.5, 1.75, 2.0, 2.25, 2.5, 3.0)
"""Where single components are tried, and all depths of preset quick."""
TRAP_STEPS = 60

TRIO = ("clip_higher", "positive_lm_loss", "group_sampling")

TEXT_DEPTHS: tuple[float, ...] = (0.85, 0.9, 0.95)
"""Dial guess_share of task trap, the share of demonstrations that guess: around the place where seeds part."""

FORKED: dict[str, Any] = {"size": 16, "horizon": 32, "modes": 2, "hazard": 0}
FORK_STEPS = 80
FASTER = 1.2
"""1 + mu/J at J = 0.5: the rate of the arm that has no loss but its speed."""
FORK_ARMS: tuple[tuple[bool, float, int], ...] = (
    (True, 1.0, 2), (False, 1.0, 2), (False, FASTER, 2), (True, 1.0, 1), (False, 1.0, 1), (False, FASTER, 1),
)  # fmt: skip
"""(positive_lm_loss, times the policy's rate, epochs)."""
OFTEN = 2
"""RL steps between measurements of the modes: from J = 0.5 to 0.9 it is four."""

MAP_DEPTHS = boundaries.Axis(("trap_prior",), (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0))
MAP_DECISIONS = boundaries.Axis(("nearest", "farthest"), (3, 5, 7, 9, 13))

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {"trap": 2, "fork": 2, "text_trap": 1, "routes": 1},
    "quick": {"trap": 6, "fork": 6, "text_trap": 1, "routes": 2},
    "full": {"trap": 32, "fork": 32, "text_trap": 32, "routes": 32},
}
"""Seeds, the first of the core tables'."""


def trapped(preset: str, seed: int, depth: float, *off: str) -> RunSpec:
    """Full VAPO less some components, before a shortcut of this depth."""
    return core.run(
        "walk",
        preset,
        seed,
        toggles=core.without(*off),
        dials={**TRAPPED, "nearest": DECISIONS, "farthest": DECISIONS, "trap_prior": depth},
        probes={"exploration": TRAP_STEPS},
        steps=None if preset == "smoke" else TRAP_STEPS,
        evaluation=boundaries.EXAM,
    )


def trap(preset: str) -> tuple[RunSpec, ...]:
    """All three components and none at every depth; each alone where escapes and captures meet."""
    depths = DEPTHS if preset == "full" else EDGE
    alone = EDGE if preset == "full" else ()
    singles = [[name for name in TRIO if name != kept] for kept in TRIO]
    return tuple(
        spec
        for seed in core.SEEDS["walk"][preset][: SEEDS[preset]["trap"]]
        for spec in (
            *(trapped(preset, seed, depth, *off) for depth in depths for off in ((), TRIO)),
            *(trapped(preset, seed, depth, *off) for depth in alone for off in singles),
        )
    )


def text_trap(preset: str) -> tuple[RunSpec, ...]:
    """The guessing trap on text: all three components and none."""
    return tuple(
        core.run(
            "lm", preset, seed, toggles=core.without(*off), task="trap", dials={"guess_share": depth}, probes={},
            steps=None if preset == "smoke" else TRAP_STEPS,
        )
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset]["text_trap"]]
        for depth in (TEXT_DEPTHS if preset != "smoke" else TEXT_DEPTHS[:1])
        for off in ((), TRIO)
    )  # fmt: skip


def fork(preset: str) -> tuple[RunSpec, ...]:
    """Two ways of being right: with the positive-example loss, without, and without but faster; two epochs and one."""
    rate = DEFAULT_SETTINGS["walk"].policy_lr
    return tuple(
        core.run(
            "walk", preset, seed, toggles=core.without(*(() if loss else ("positive_lm_loss",))), dials=FORKED,
            settings={"policy_lr": rate * faster, "epochs": epochs}, probes={"exploration": OFTEN},
            steps=None if preset == "smoke" else FORK_STEPS,
        )
        for seed in core.SEEDS["walk"][preset][: SEEDS[preset]["fork"]]
        for loss, faster, epochs in FORK_ARMS
    )  # fmt: skip


def routes(preset: str) -> tuple[RunSpec, ...]:
    """Four right answers to every problem on text, with the loss and without."""
    return tuple(
        core.run("lm", preset, seed, toggles=core.without(*off), task="routes", probes={"exploration": 5})
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset]["routes"]]
        for off in ((), ("positive_lm_loss",))
    )


def boundary(preset: str) -> tuple[RunSpec, ...]:
    """Depth against decisions, which R10 trades one for the other."""
    return boundaries.grid(preset, TRAPPED, MAP_DEPTHS, MAP_DECISIONS, TRAP_STEPS, {"exploration": TRAP_STEPS})


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    trained = (*trap(preset), *text_trap(preset), *fork(preset), *routes(preset), *boundary(preset))
    return (*dict.fromkeys(trained), *exact_runs(preset))
