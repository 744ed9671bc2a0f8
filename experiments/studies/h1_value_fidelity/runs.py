"""Limitation 1, the fidelity of the value function: how wrong is it, what does that do, and what does it forget?

h1a: full VAPO whose critic is held against the mean of other answers, on the walk, both tasks of text and a longer text walk;
on four seeds of a task against its floor, too. h1b: full VAPO with lambda fixed, and the same with an error put into values
when advantages are computed; on the walk also where all responses have one length. h1c: full VAPO and its twin that rehearses
rare places, at several rates of the policy, 0 among them. Beside them other sources of values: the critic's cut to the range
of rewards, and means of fresh continuations.

Seconds of one core per run, measured: on the walk 2 with an error, 3 to 4 for a twin; 2 for other values, 12 for fresh
continuations. On text, on a machine busy with other work: 39 (text_walk) against the mean of other answers, 79 (chain) with
its critic judged out of distribution as well; a floor fitted to the first 2,048 answers 24, and twice as much for each doubling.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import core, seeds
from experiments.studies.core import World
from experiments.studies.h1_value_fidelity.exact_runs import exact_runs
from experiments.studies.h1_value_fidelity.real_runs import real_runs
from vapo_core.settings import DEFAULT_SETTINGS, Toggles

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {
        "critic_walk": 2,
        "critic_text_walk": 1,
        "critic_chain": 0,
        "critic_long_text_walk": 0,
        "floor": 1,
        "error_walk": 2,
        "error_text": 1,
        "forget_walk": 2,
        "forget_text": 1,
        "pathway": 1,
    },
    "quick": {
        "critic_walk": 6,
        "critic_text_walk": 2,
        "critic_chain": 2,
        "critic_long_text_walk": 1,
        "floor": 1,
        "error_walk": 4,
        "error_text": 2,
        "forget_walk": 6,
        "forget_text": 1,
        "pathway": 2,
    },
    "full": {
        "critic_walk": 32,
        "critic_text_walk": 32,
        "critic_chain": 32,
        "critic_long_text_walk": 8,
        "floor": 4,
        "error_walk": 32,
        "error_text": 12,
        "forget_walk": 64,
        "forget_text": 12,
        "pathway": 32,
    },
}
"""Seeds, the first of the core tables' or as many from the same start."""

REPLICATES: dict[str, int] = {"h1a": SEEDS["full"]["critic_chain"], "h1c": SEEDS["full"]["forget_walk"]}
"""Question -> seeds of its primary estimate at preset full; of the exact level's, see `exact.FAMILIES`."""

LONG_WALK: dict[str, Any] = {"size": 26, "horizon": 40}
"""A text walk on the longest ring there are letters for."""
TEXT: dict[str, tuple[str, dict[str, Any]]] = {
    "text_walk": ("text_walk", {}), "chain": ("chain", {}), "long_text_walk": ("text_walk", LONG_WALK),
}  # fmt: skip
"""Task and dials by name; the critic of `chain` is also judged out of distribution, for limitation 5."""

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


def critic(preset: str, seed: int, name: str) -> RunSpec:
    """Full VAPO whose critic is held against baselines without one, at the start and the end; on few seeds against its floor."""
    world: World = "walk" if name == "walk" else "lm"
    task, dials = TEXT.get(name, ("walk", {}))
    floored = dials != LONG_WALK and seed in seeds.first(preset, SEEDS[preset]["floor"])
    probes = {"baseline_error": True, "approximation_floor": floored, "value_transfer": name == "chain"}
    steps = core.STEPS[world][preset]
    return core.run(
        world, preset, seed, task=task, dials=dials, probes={probe: steps for probe, on in probes.items() if on}
    )


def value_noise(world: World, preset: str, seed: int, error: Error, dials: Mapping[str, Any] | None = None) -> RunSpec:
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
    rate = times * DEFAULT_SETTINGS[world].policy_lr
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
    for name in ("walk", *TEXT):
        for seed in seeds.first(preset, SEEDS[preset][f"critic_{name}"]):
            yield critic(preset, seed, name)


def propagation(preset: str) -> Iterable[RunSpec]:
    """Of h1b, learned levels."""
    for seed in seeds.first(preset, SEEDS[preset]["error_walk"]):
        for dials in LENGTHS.values():
            yield from (value_noise("walk", preset, seed, error, dials) for error in ERRORS)
    for seed in seeds.first(preset, SEEDS[preset]["error_text"]):
        yield from (value_noise("lm", preset, seed, error) for error in TEXT_ERRORS)


def forgetting(preset: str) -> Iterable[RunSpec]:
    """Of h1c."""
    for seed in seeds.first(preset, SEEDS[preset]["forget_walk"]):
        for times in RATES[: TRIED[preset]]:
            yield from twins("walk", preset, seed, times)
    for seed in seeds.first(preset, SEEDS[preset]["forget_text"]):
        yield from twins("lm", preset, seed)


def pathway(preset: str, seed: int, start: str, values: str = "") -> RunSpec:
    """The walk from a start, with the critic's own values or others; full VAPO with its own is `critic`'s."""
    if (start, values) == ("full VAPO", ""):
        return critic(preset, seed, "walk")
    toggles, numbers = STARTS[start]
    variants = {"values": values} if values else {}
    return core.run("walk", preset, seed, toggles=toggles, settings=numbers, variants=variants, probes={})


def pathways(preset: str) -> Iterable[RunSpec]:
    """Alternatives that are ready to use, beside what they replace."""
    for seed in seeds.first(preset, SEEDS[preset]["pathway"]):
        yield from (pathway(preset, seed, start, values) for start in STARTS for values in ("", *VALUES))


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    counts = SEEDS[preset]
    critics = [
        critic(preset, seed, name) for name in ("text_walk", "chain") for seed in seeds.first(preset, counts["floor"])
    ]
    paired = [spec for seed in seeds.first(preset, counts["forget_walk"]) for spec in twins("walk", preset, seed)]
    return (*critics, *paired)


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    trained = dict.fromkeys([*approximation(preset), *propagation(preset), *forgetting(preset), *pathways(preset)])
    return (*trained, *exact_runs(preset))
