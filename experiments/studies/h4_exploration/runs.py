"""Limitation 4, exploration: does VAPO leave deep local optima, and does it narrow down too early?"""

from typing import Any

from analysis.verdict.questions import Floor, Question
from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core, exact_specs, real
from vapo_core.settings import SCALES

QUESTIONS: dict[str, Question] = {
    "h4a": Question(
        id="h4a",
        question="Do clip-higher, positive-LM loss and group-sampling suffice to escape deep local optima?",
        estimand=(
            "depth at which half of the runs escape, clip_higher, positive_lm_loss and group_sampling all on minus all off at"
            " equal samples. Depth: exact log-odds, under the base policy, of stopping early (right by luck in 1 of 5) over a"
            " right answer that takes 5 decisions. Escape: exact J after 60 steps of 256 responses above 0.6, halfway between"
            " the shortcut and 1. Depths span 0.1 to 500 right answers expected of that many responses of the base; 64"
            " prompts. Each component alone, and a guessing trap on text at three depths, are secondary."
        ),
        unit="nats",
        prediction=(
            "Negligible: the first right answer comes with probability 1 - (1 - p)^N, which none of the three changes (R10):"
            " before it there is nothing right to imitate, no good ratio to clip, and N is the same. What the loss adds after"
            " a first hit, mu/J of the policy's own gradient, it adds to lucky guesses as well. Doubling the samples is"
            " worth ln 2."
        ),
        threshold=0.693,  # ln 2, the value of twice the samples
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("smaller of two shares, runs that escape and runs that do not, over all depths and both arms", 0.1),
        equivalence=True,
    ),
    "h4b": Question(
        id="h4b",
        question="Does it converge prematurely; does the positive-LM loss over-exploit?",
        estimand=(
            "normalised entropy over the two ways of being right at J = 0.9, mu = 0.1 minus mu = 0: exact probabilities of both"
            " goals of a ring, mean over held-out problems, linear in J between measurements every other step. J = 0.5, one"
            " epoch in place of two, 200 optimiser steps after J > 0.95, an arm without the loss whose rate is 1.2 times"
            " (1 + mu/J at J = 0.5), half-life of entropy on fixed prefixes, and text are secondary."
        ),
        unit="share of log(modes)",
        prediction=(
            "Negligible at equal J: on policy the loss's expected gradient is parallel to that of J (R7), so it changes speed,"
            " not path. After saturation it keeps its noise where the advantage has none, and diversity is lost by drift, by"
            " a variance of mode log-odds of about mu^2 eta^2 steps / B."
        ),
        threshold=0.05,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "gradient norm of the positive-example loss over the surrogate's, mean of runs with the loss", 0.02
        ),
        equivalence=True,
    ),
}

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
    rate = SCALES["walk"].policy_lr
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
        return tuple(real.h4())
    trained = (*trap(preset), *text_trap(preset), *fork(preset), *routes(preset), *boundary(preset))
    return (*dict.fromkeys(trained), *exact_specs.h4(preset))
