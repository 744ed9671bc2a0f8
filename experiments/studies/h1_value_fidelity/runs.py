"""Limitation 1, the fidelity of the value function: how wrong is it, what does that do, and what does it forget?

h1a: full VAPO with its approximation floor, on the walk and on both tasks of text. h1b: full VAPO with lambda fixed, and the
same with an error put into values when advantages are computed; on the walk also where all responses have one length. h1c:
full VAPO and its twin that rehearses rare places, at several rates of the policy, 0 among them. Beside them other sources of
values: the critic's cut to the range of rewards, and means of fresh continuations.

Seconds of one busy core per run, measured: on the walk 6 with a floor, 2 with an error, 3 to 4 for a twin; on text 50
(text_walk) and 75 (chain) with a floor at both ends; 2 for other values, 12 for fresh continuations. Quick comes to 11
minutes by that, full to 3 hours.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from analysis.verdict.questions import Floor, Question
from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import core, exact_specs, real
from experiments.studies.core import World
from vapo_core.settings import SCALES, Toggles

QUESTIONS: dict[str, Question] = {
    "h1a": Question(
        id="h1a",
        question="How large is the critic's approximation error on long chains, and where?",
        estimand=(
            "FVU of full VAPO's critic minus FVU of the approximation floor (a copy of the same network, fitted to values"
            " of fresh answers, to held-out problems among them, until that stops improving), on held-out problems; mean of"
            " tasks text_walk and chain, and of the measurements before the first and after the last RL step. FVU ="
            " E[(V_hat - V)^2] / Var(V), continuation noise taken out. On text the copy learns from noisy results, so its"
            " floor is an upper bound and theta errs towards 0."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive. A critic's error is E Var(V | features), which no training removes, plus an estimation excess"
            " that falls as one over the number of results it has seen; after some thousands of results of variance"
            " V (1 - V), many times Var(V), the excess is not yet small. It should be larger in the first quarter of a"
            " response, where those targets vary most and bootstrapped ones arrive last (R9)."
        ),
        threshold=0.10,  # a baseline takes away 1 - FVU of the variance that V can, so 0.10 is a tenth of its use
        primary="tiny_lm",
        also=("walk",),
        floor=Floor(
            "share of Var(V) that the floor explains, 1 - its FVU: whether a value shows in the tokens at all", 0.2
        ),
    ),
    "h1b": Question(
        id="h1b",
        question="How does value error propagate into the update and the policy?",
        estimand=(
            "S(0.95) x 0.1: relative bias of the expected policy gradient, |E g - grad J| / |grad J|, caused at lambda ="
            " 0.95 by a frozen state-dependent error of standard deviation 0.1 added to exact values; from the slope in that"
            " deviation, mean of a problem of 64 tokens and one of 64 on average, sampled decision processes and error draws"
            " being the replicates; other lengths, lambda and errors are secondary. Learned levels: fall of the area"
            " under the learning curve per 0.1 of it, over 0 to 0.2, lambda fixed at 0.95, the error added when advantages"
            " are computed and never to targets."
        ),
        unit="relative bias at sigma = 0.1",
        prediction=(
            "Positive (R1): bias of the gradient is (1 - lambda) sum_k lambda^k of the errors ahead, hence linear in sigma,"
            " smaller the nearer lambda is to 1 and 0 there; 0 for errors of position alone where all responses have one"
            " length, and for noise drawn afresh, which enters as variance, in sigma^2."
        ),
        threshold=0.05,
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor(
            "standard deviation of the added error over states at one position, reward (of position alone: inert)", 0.05
        ),
    ),
    "h1c": Question(
        id="h1c",
        question="Does the critic forget rare but critical sub-paths as the policy shifts?",
        estimand=(
            "D = [E_rare - E_frequent](t1) - [E_rare - E_frequent](t0) of full VAPO, minus the same of a twin run whose critic"
            " also replays rare states (rehearsal = rare); E = squared error to V under the present policy over Var(V) of all"
            " places; t0 = before the first RL step, t1 = after the last; rare places of prompts that no twin rehearses."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive and growing with the policy's shift: one network serves all states, so fitting the states that the"
            " policy now visits moves its values on those it left, while a table would keep them (D = 0, no interference)."
        ),
        threshold=0.10,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "policy shift from t0 to t1, nats per response; besides, E_rare(t0) must lie below the position-only critic's, or"
            " nothing was there to forget",
            0.5,
        ),
    ),
}


SEEDS: dict[str, dict[str, int]] = {
    "smoke": {
        "floor_walk": 2,
        "floor_text": 1,
        "error_walk": 2,
        "error_text": 1,
        "forget_walk": 2,
        "forget_text": 1,
        "pathway": 1,
    },
    "quick": {
        "floor_walk": 6,
        "floor_text": 2,
        "error_walk": 4,
        "error_text": 2,
        "forget_walk": 6,
        "forget_text": 1,
        "pathway": 2,
    },
    "full": {
        "floor_walk": 32,
        "floor_text": 32,
        "error_walk": 64,
        "error_text": 32,
        "forget_walk": 64,
        "forget_text": 32,
        "pathway": 32,
    },
}
"""Seeds, the first of the core tables' or as many from the same start."""

CRITIC_PROBES: dict[str, tuple[str, ...]] = {
    "walk": ("approximation_floor", "value_error"),
    "text_walk": ("approximation_floor", "value_error"),
    "chain": ("approximation_floor", "value_error", "value_transfer"),
}
"""What is measured before the first and after the last step of full VAPO, by task; `chain` serves limitation 5, too."""

LENGTHS: dict[bool, dict[str, Any]] = {
    False: {"horizon": 20},
    True: {"horizon": 20, "fixed_length": True},
}
"""The walk's dials of responses that stop when they like, and of responses of one length."""


STARTS: dict[str, tuple[Toggles, dict[str, float]]] = {
    "full VAPO": (core.without(), {}),
    "biased": (core.without("value_pretraining"), {"critic_bias": 2.0}),
}
"""Where a critic is weak: hardly in full VAPO; without pretraining and biased beyond any reward, from the start."""
VALUES: tuple[str, ...] = ("bounded", "monte_carlo")
"""What may stand in place of the critic's own values, in the same slot."""


class Error(NamedTuple):
    """An error put into values, and the lambda it meets."""

    kind: str
    """state, position or fresh."""
    sd: float
    """Reward; 0 is the plain run."""
    lam: float


ERRORS: tuple[Error, ...] = (
    *(Error("state", sd, 0.95) for sd in (0.0, 0.1, 0.2)),
    *(Error("state", sd, lam) for lam in (0.5, 1.0) for sd in (0.0, 0.2)),
    *(Error(kind, 0.2, 0.95) for kind in ("position", "fresh")),
)
"""On the walk, under either kind of length: the dose, other lambdas, and kinds of error that theory holds to be harmless."""

TEXT_ERRORS: tuple[Error, ...] = (Error("state", 0.0, 0.95), Error("state", 0.2, 0.95))

FORGET_STEPS = 60
RATES: tuple[float, ...] = (1.0, 0.0, 0.5, 2.0)
"""Times the policy's rate: its own, a frozen policy, and other shifts."""
TRIED: dict[str, int] = {"smoke": 2, "quick": 3, "full": 4}
"""How many of them."""


def first_seeds(world: World, preset: str, number: int) -> range:
    """So many, from the core tables' first on."""
    first = core.SEEDS[world][preset][0]
    return range(first, first + number)


def critic(world: World, preset: str, seed: int, task: str, dials: Mapping[str, Any] | None = None) -> RunSpec:
    """Full VAPO whose critic is held against its floor at the start and the end."""
    probes = dict.fromkeys(CRITIC_PROBES[task], core.STEPS[world][preset])
    return core.run(world, preset, seed, task=task, dials=dials, probes=probes)


def disturbed(world: World, preset: str, seed: int, error: Error, dials: Mapping[str, Any] | None = None) -> RunSpec:
    """Full VAPO with a fixed lambda and an error in its advantages; on text the run without one is the core tables' own."""
    return core.run(
        world, preset, seed, toggles=core.without("length_adaptive_gae"),
        settings={"fixed_lambda": error.lam, "value_error_sd": error.sd}, dials=dials,
        variants={"values": f"{error.kind}_error"} if error.sd else {},
        probes=None if world == "lm" and not error.sd else {},
    )  # fmt: skip


def twins(world: World, preset: str, seed: int, times: float = 1.0) -> tuple[RunSpec, RunSpec]:
    """Full VAPO, and the same with a critic that also rehearses rare places."""
    steps = FORGET_STEPS if world == "walk" and preset != "smoke" else core.STEPS[world][preset]
    rate = times * SCALES[world].policy_lr
    plain, rehearsed = (
        core.run(
            world,
            preset,
            seed,
            settings={"policy_lr": rate},
            variants=variants,
            probes={"forgetting": steps},
            steps=steps,
        )
        for variants in ({}, {"rehearsal": "rare"})
    )
    return plain, rehearsed


def approximation(preset: str) -> Iterable[RunSpec]:
    """Of h1a."""
    for seed in first_seeds("walk", preset, SEEDS[preset]["floor_walk"]):
        yield critic("walk", preset, seed, "walk")
    tasks = core.TASKS["lm"] if preset != "smoke" else core.TASKS["lm"][:1]
    for seed in first_seeds("lm", preset, SEEDS[preset]["floor_text"]):
        yield from (critic("lm", preset, seed, task) for task in tasks)


def propagation(preset: str) -> Iterable[RunSpec]:
    """Of h1b, learned levels."""
    for seed in first_seeds("walk", preset, SEEDS[preset]["error_walk"]):
        for dials in LENGTHS.values():
            yield from (disturbed("walk", preset, seed, error, dials) for error in ERRORS)
    for seed in first_seeds("lm", preset, SEEDS[preset]["error_text"]):
        yield from (disturbed("lm", preset, seed, error) for error in TEXT_ERRORS)


def forgetting(preset: str) -> Iterable[RunSpec]:
    """Of h1c."""
    for seed in first_seeds("walk", preset, SEEDS[preset]["forget_walk"]):
        for times in RATES[: TRIED[preset]]:
            yield from twins("walk", preset, seed, times)
    for seed in first_seeds("lm", preset, SEEDS[preset]["forget_text"]):
        yield from twins("lm", preset, seed)


def pathway(preset: str, seed: int, start: str, values: str = "") -> RunSpec:
    """The walk from a start, with the critic's own values or others; full VAPO with its own is `critic`'s."""
    if (start, values) == ("full VAPO", ""):
        return critic("walk", preset, seed, "walk")
    toggles, numbers = STARTS[start]
    variants = {"values": values} if values else {}
    return core.run("walk", preset, seed, toggles=toggles, settings=numbers, variants=variants, probes={})


def pathways(preset: str) -> Iterable[RunSpec]:
    """Alternatives that are ready to use, beside what they replace."""
    for seed in first_seeds("walk", preset, SEEDS[preset]["pathway"]):
        yield from (pathway(preset, seed, start, values) for start in STARTS for values in ("", *VALUES))


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real.h1())
    trained = dict.fromkeys([*approximation(preset), *propagation(preset), *forgetting(preset), *pathways(preset)])
    return (*trained, *exact_specs.h1(preset))
