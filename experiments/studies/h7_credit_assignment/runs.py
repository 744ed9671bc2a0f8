"""Limitation 7, credit assignment: does blame reach the step that erred, and is credit given to tokens or to segments?"""

from typing import Any

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import boundaries, core, seeds
from experiments.studies.h2_length_adaptive_gae import runs as adaptation
from experiments.studies.h7_credit_assignment.exact_runs import exact_runs
from experiments.studies.h7_credit_assignment.real_runs import real_runs
from vapo_core.settings import Evaluation

CHAIN: dict[str, Any] = {"size": 32, "horizon": 64, "skill": 2.0}
"""Every token is a decision; the base policy knows enough for the longest problems to begin."""
NOISY: dict[str, Any] = {"responses_per_step": 64, "group_size": 8, "mini_batches": 2}
"""A quarter of the usual responses: where samples are plenty, no rule for credit is needed to save any."""
DECISIONS: tuple[int, ...] = (6, 12, 24)
"""Of a shortest right answer; sampled ones take up to twice as many."""
TOKEN_LAMBDA = 0.95
SEGMENT = 4
"""Decisions that segment-level credit takes as one action."""
SEGMENT_LAMBDA = TOKEN_LAMBDA**SEGMENT
ERROR_SD = 0.1
"""Of the values used, reward, one draw per state: what a good critic is off by (VinePPO's PPO critic: 0.11)."""
GATE_LAMBDAS = (0.0, 1.0)
THRESHOLD_STEPS = 60

FILLER = 3
"""Forced tokens after a decision in the derived cells: lambda per token is lambda^4 per decision there."""

TEXT_STEP_LAMBDA = 0.95**2
"""A move of text_walk has two tokens."""

Arm = tuple[dict[str, str], float, float]
"""(variants, lambda, error of the values)."""
BY_SEGMENT = {"credit": "segment_level"}
CREDIT_ARMS: tuple[Arm, ...] = (({}, TOKEN_LAMBDA, ERROR_SD), (BY_SEGMENT, SEGMENT_LAMBDA, ERROR_SD))
"""Of the question: one horizon, 20 decisions."""
OTHER_ARMS: tuple[Arm, ...] = (
    ({}, TOKEN_LAMBDA, 0.0),
    (BY_SEGMENT, SEGMENT_LAMBDA, 0.0),
    (BY_SEGMENT, TOKEN_LAMBDA, ERROR_SD),
)
"""Without the error; and with lambda left as it was, a horizon four times as long."""

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {"credit": 2, "others": 0, "derived": 0, "gate": 2, "text": 1, "blame": 2},
    "quick": {"credit": 5, "others": 0, "derived": 0, "gate": 4, "text": 2, "blame": 4},
    "full": {"credit": 128, "others": 24, "derived": 24, "gate": 24, "text": 8, "blame": 16},
}
"""Seeds, the first of the preset's; those of the gate its own."""

REPLICATES: dict[str, int] = {"h7b": SEEDS["full"]["credit"]}
"""Question -> seeds of its primary estimate at preset full; questions of the exact level have instances instead."""

MAP_WAYPOINTS = boundaries.Axis(("sparsity",), (0, 1, 2, 3, 4))
MAP_FILLER = boundaries.Axis(("filler",), (0, 1, 3, 7))


def credited(preset: str, seed: int, decisions: int, arm: Arm, filler: int = 0) -> RunSpec:
    """VAPO at a constant lambda, credit given to tokens or to segments, on problems of one length."""
    variants, lam, error = arm
    return core.run(
        "walk",
        preset,
        seed,
        toggles=core.without("length_adaptive_gae"),
        settings={**NOISY, "fixed_lambda": lam, **({"value_error_sd": error} if error else {})},
        dials={**CHAIN, "nearest": decisions, "farthest": decisions, **({"filler": filler} if filler else {})},
        variants={**variants, **({"values": "state_error"} if error else {})},
        probes={},
        steps=None if preset == "smoke" else THRESHOLD_STEPS,
        evaluation=Evaluation(every=2, problems=64, k_problems=8),
    )


def gate(preset: str) -> tuple[RunSpec, ...]:
    """Gate of h7b: credit by token at both ends of lambda, the values in error as in the question."""
    return tuple(
        credited(preset, seed, decisions, ({}, lam, ERROR_SD))
        for seed in seeds.of_gates(SEEDS[preset]["gate"])
        for decisions in DECISIONS
        for lam in GATE_LAMBDAS
    )


def abstraction(preset: str) -> tuple[RunSpec, ...]:
    """Tokens against segments at every number of decisions; other arms on fewer seeds."""
    return tuple(
        credited(preset, seed, decisions, arm)
        for arms, count in ((CREDIT_ARMS, "credit"), (OTHER_ARMS, "others"))
        for seed in seeds.first(preset, SEEDS[preset][count])
        for decisions in DECISIONS
        for arm in arms
    )


def derived(preset: str) -> tuple[RunSpec, ...]:
    """Length made of filler, beside the same lambda per decision without it: by arithmetic the same estimator."""
    cells = ((FILLER, TOKEN_LAMBDA), (0, TOKEN_LAMBDA ** (FILLER + 1)))
    return tuple(
        credited(preset, seed, decisions, ({}, lam, 0.0), filler)
        for seed in seeds.first(preset, SEEDS[preset]["derived"])
        for decisions in DECISIONS[:2]
        for filler, lam in cells
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
    numbers = seeds.first(preset, SEEDS[preset]["blame"])
    mixed = (adaptation.cell(preset, seed, "mixed", adaptation.OWN, rule) for seed in numbers for rule in (True, False))
    tasks = core.TASKS["lm"] if preset != "smoke" else core.TASKS["lm"][:1]
    few = core.SEEDS["lm"][preset][: SEEDS[preset]["text"]]
    return (*mixed, *(core.run("lm", preset, seed, task=task) for seed in few for task in tasks))


def boundary(preset: str) -> tuple[RunSpec, ...]:
    """Waypoints that have to be passed first, against filler: more decisions to blame, or more tokens between them."""
    return boundaries.grid(preset, {"horizon": 64}, MAP_WAYPOINTS, MAP_FILLER, 60, {"credit": 60})


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    return tuple(
        credited(preset, seed, decisions, arm)
        for seed in seeds.first(preset, SEEDS[preset]["credit"])
        for decisions in DECISIONS
        for arm in CREDIT_ARMS
    )


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    trained = (*gate(preset), *abstraction(preset), *derived(preset), *text(preset), *blame(preset), *boundary(preset))
    return (*dict.fromkeys(trained), *exact_runs(preset))
