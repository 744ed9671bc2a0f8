"""Limitation 5, generalisation: is the critic right on problems unlike the training ones, and does VAPO overfit more?

h5a: full VAPO on chains with pairs of operators that nothing has seen, the same with filler, chains up to three steps with a
split of four, the usual chains (the runs of h1a), and the walk with hazards that training never has. h5b: VAPO, GRPO and DAPO
with accuracies on every split after every step.

Seconds of one core per run, measured: on the walk 3 to 4; on text, on a machine busy with other work, about 5 per RL step
with accuracies on every split, 15 to 40 for a critic's longer pretraining, 20 to judge it out of distribution once.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.specs.exact import AnySpec
from experiments.specs.spec import RunSpec
from experiments.studies import core, seeds
from experiments.studies.h1_value_fidelity.runs import SEEDS as CRITICS
from experiments.studies.h1_value_fidelity.runs import critic
from experiments.studies.h5_generalization.exact_runs import exact_runs
from experiments.studies.h5_generalization.real_runs import real_runs

SEEDS: dict[str, dict[str, int]] = {
    "smoke": {
        "transfer_text": 0,
        "further_text": 0,
        "transfer_walk": 2,
        "arms_text": 0,
        "dapo_text": 0,
        "arms_walk": 2,
    },
    "quick": {
        "transfer_text": 2,
        "further_text": 0,
        "transfer_walk": 8,
        "arms_text": 2,
        "dapo_text": 2,
        "arms_walk": 8,
    },
    "full": {
        "transfer_text": 32,
        "further_text": 6,
        "transfer_walk": 32,
        "arms_text": 32,
        "dapo_text": 8,
        "arms_walk": 32,
    },
}
"""Seeds from the core tables' first on; `further_text`: chains with filler, short ones, and ones that pretraining glimpsed."""

REPLICATES: dict[str, int] = {"h5a": SEEDS["full"]["transfer_text"], "h5b": SEEDS["full"]["arms_text"]}
"""Question -> seeds of its primary estimate at preset full."""

UNSEEN_PAIRS: dict[str, Any] = {
    "operators": "><~+-", "novel_operator": "", "novel_pairs": "<~ ~>", "glimpse": 0.0,
}  # fmt: skip
"""Chains of five operators, two pairs of which never follow each other: not in RL, and not in the base model's pretraining."""
PRACTISED: dict[str, float] = {"warmup_steps": 30, "pool_size": 1024}
"""Thrice the value pretraining, over many problems: a critic that knows nothing in distribution has nothing to carry over."""
FILLED: dict[str, Any] = {**UNSEEN_PAIRS, "filler": 2}
"""Steps of five tokens in place of three: length without decisions, for the 2 x 2 of length and composition."""
SHORT: dict[str, Any] = {"longest": 3, "farthest": 4}
"""The dials at which longer problems are neither solved nor hopeless (results/tasks)."""
HAZARDS: dict[str, Any] = {"novel_hazards": 3}
"""The walk keeps three places of the hazard from training."""

ARMS: tuple[str, ...] = ("vapo", "grpo", "dapo")
ARM_STEPS: dict[str, int] = {"smoke": 2, "quick": 30, "full": 30}
"""RL steps of an arm on text, with accuracies on every split after each of them: where it crosses is then seen."""


def arm(preset: str, seed: int, recipe: str) -> RunSpec:
    """A recipe on chains with accuracies after every step."""
    return core.run("lm", preset, seed, recipe, task="chain", probes={"generalization": 1}, steps=ARM_STEPS[preset])


def transfer_walk(preset: str, seed: int) -> RunSpec:
    """Full VAPO on the walk, its critic also judged where the hazard lies elsewhere."""
    steps = core.STEPS["walk"][preset]
    return core.run("walk", preset, seed, dials=HAZARDS, probes={"value_transfer": steps, "generalization": 1})


def arm_walk(preset: str, seed: int, recipe: str) -> RunSpec:
    """A recipe on the walk with accuracies after every step."""
    if recipe == "vapo":
        return transfer_walk(preset, seed)
    return core.run("walk", preset, seed, recipe, dials=HAZARDS, probes={"generalization": 1})


def transfer_text(preset: str, seed: int, dials: Mapping[str, Any]) -> RunSpec:
    """Full VAPO on chains, its critic well practised and judged out of distribution at both ends."""
    probes = {"value_transfer": core.STEPS["lm"][preset]}
    return core.run("lm", preset, seed, task="chain", dials=dials, settings=PRACTISED, probes=probes)


def transfer(preset: str) -> Iterable[RunSpec]:
    """Of h5a."""
    for seed in seeds.first(preset, SEEDS[preset]["transfer_text"]):
        yield transfer_text(preset, seed, UNSEEN_PAIRS)
    for seed in seeds.first(preset, CRITICS[preset]["critic_chain"]):
        yield critic(preset, seed, "chain")
    for seed in seeds.first(preset, SEEDS[preset]["further_text"]):
        yield from (transfer_text(preset, seed, dials) for dials in (FILLED, SHORT))
    for seed in seeds.first(preset, SEEDS[preset]["transfer_walk"]):
        yield transfer_walk(preset, seed)


def arms(preset: str) -> Iterable[RunSpec]:
    """Of h5b."""
    for seed in seeds.first(preset, SEEDS[preset]["arms_text"]):
        yield from (arm(preset, seed, recipe) for recipe in ARMS[:2])
    for seed in seeds.first(preset, SEEDS[preset]["dapo_text"]):
        yield arm(preset, seed, "dapo")
    for seed in seeds.first(preset, SEEDS[preset]["arms_walk"]):
        yield from (arm_walk(preset, seed, recipe) for recipe in ARMS)


def primary(preset: str) -> tuple[RunSpec, ...]:
    """The runs from which the primary estimates are made: what a pilot tries out."""
    unseen = (transfer_text(preset, seed, UNSEEN_PAIRS) for seed in seeds.first(preset, SEEDS[preset]["transfer_text"]))
    both = (
        arm(preset, seed, recipe)
        for seed in seeds.first(preset, SEEDS[preset]["arms_text"])
        for recipe in ("vapo", "grpo")
    )
    return (*unseen, *both)


def specs(preset: str) -> tuple[AnySpec, ...]:
    """Every run of the study, each once."""
    if preset == "real":
        return tuple(real_runs())
    return (*dict.fromkeys([*transfer(preset), *arms(preset)]), *exact_runs(preset))
