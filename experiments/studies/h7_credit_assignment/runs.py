"""Limitation 7, credit assignment: does blame reach the step that erred, and is credit given to steps or to tokens?"""

from typing import Any

from experiments.specs.designs import own
from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core
from experiments.studies.h2_length_adaptive_gae import runs as adaptation
from experiments.studies.h7_credit_assignment.exact_runs import exact_runs
from experiments.studies.h7_credit_assignment.real_runs import real_runs
from vapo_core.settings import Evaluation

STEPPED: dict[str, Any] = {"size": 32, "horizon": 32, "filler": 3, "skill": 2.0}
"""Every decision is a step of four tokens; the base policy knows enough for the longest problems to begin."""
DECISIONS: tuple[int, ...] = (5, 9, 17)
TOKEN_LAMBDA = 0.95
STEP_LAMBDA = TOKEN_LAMBDA**4
ERROR_SD = 0.1
"""Of the values used, reward: what a good critic is off by (VinePPO's PPO critic: 0.11)."""
THRESHOLD_STEPS = 60

TEXT_STEP_LAMBDA = 0.95**2
"""A move of text_walk has two tokens."""

CREDIT_ARMS: tuple[tuple[dict[str, str], float, float], ...] = (
    ({}, TOKEN_LAMBDA, ERROR_SD),
    ({"credit": "step_level"}, STEP_LAMBDA, ERROR_SD),
    ({}, TOKEN_LAMBDA, 0.0),
    ({"credit": "step_level"}, STEP_LAMBDA, 0.0),
    ({"credit": "step_level"}, TOKEN_LAMBDA, ERROR_SD),
)
"""(variants, lambda, error of the values). The last leaves lambda as it was: a horizon four times as long."""

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {"credit": 2, "text": 1, "blame": 2},
    "quick": {"credit": 5, "text": 2, "blame": 4},
    "full": {"credit": 32, "text": 32, "blame": 32},
}
"""Seeds, the first of the core tables'."""

MAP_WAYPOINTS = boundaries.Axis(("sparsity",), (0, 1, 2, 3, 4))
MAP_FILLER = boundaries.Axis(("filler",), (0, 1, 3, 7))


def credited(preset: str, seed: int, decisions: int, arm: tuple[dict[str, str], float, float]) -> RunSpec:
    """VAPO at a constant lambda, credit given to tokens or to steps, on problems of one length."""
    variants, lam, error = arm
    return core.run(
        "walk",
        preset,
        seed,
        toggles=core.without("length_adaptive_gae"),
        settings={"fixed_lambda": lam, **({"value_error_sd": error} if error else {})},
        dials={**STEPPED, "nearest": decisions, "farthest": decisions},
        variants={**variants, **({"values": "fresh_error"} if error else {})},
        probes={"credit": THRESHOLD_STEPS},
        steps=None if preset == "smoke" else THRESHOLD_STEPS,
        evaluation=Evaluation(every=2, problems=64, k_problems=8),
    )


def abstraction(preset: str) -> tuple[RunSpec, ...]:
    """Tokens against steps at every number of decisions; quick has the arms of the question alone."""
    arms = CREDIT_ARMS if preset == "full" else CREDIT_ARMS[:2]
    return tuple(
        credited(preset, seed, decisions, arm)
        for seed in core.SEEDS["walk"][preset][: SEEDS[preset]["credit"]]
        for decisions in DECISIONS
        for arm in arms
    )


def text(preset: str) -> tuple[RunSpec, ...]:
    """The same two on text_walk, whose critic tells tokens of a step apart by itself; by token it is the core table's cell."""
    off = core.without("length_adaptive_gae")
    return tuple(
        spec
        for seed in core.SEEDS["lm"][preset][: SEEDS[preset]["text"]]
        for spec in (
            core.run("lm", preset, seed, toggles=off, settings={"fixed_lambda": TOKEN_LAMBDA}),
            core.run(
                "lm", preset, seed, toggles=off, settings={"fixed_lambda": TEXT_STEP_LAMBDA},
                variants={"credit": "step_level"}, probes={},
            ),
        )
    )  # fmt: skip


def blame(preset: str) -> tuple[RunSpec, ...]:
    """Full VAPO, and a constant lambda of the same horizon, where lengths are mixed (h2b's cells), and full VAPO on text."""
    seeds = core.SEEDS["walk"][preset][: SEEDS[preset]["blame"]]
    mixed = (adaptation.cell(preset, seed, "mixed", adaptation.OWN, rule) for seed in seeds for rule in (True, False))
    tasks = core.TASKS["lm"] if preset != "smoke" else core.TASKS["lm"][:1]
    return (*mixed, *(spec for task in tasks for spec in core.of_cells("lm", preset, [own("vapo")], task)))


def boundary(preset: str) -> tuple[RunSpec, ...]:
    """Waypoints that have to be passed first, against filler: more decisions to blame, or more tokens between them."""
    return boundaries.grid(preset, {"horizon": 64}, MAP_WAYPOINTS, MAP_FILLER, 60, {"credit": 60})


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    trained = (*abstraction(preset), *text(preset), *blame(preset), *boundary(preset))
    return (*dict.fromkeys(trained), *exact_runs(preset))
