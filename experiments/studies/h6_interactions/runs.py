"""Limitation 6, the seven together: what is left of PPO's guarantees, and which components interact?

Cost beside the core tables, from runs measured on one core: quick 9 core-minutes, full 3.8 core-hours, and the exact level's.
"""

from analysis.verdict.questions import Floor, Question
from experiments.specs.designs import fractional_factorial, full_factorial
from experiments.specs.exact import ExactSpec
from experiments.specs.spec import RunSpec
from experiments.studies import core, exact_specs, real
from vapo_core.settings import Toggles

QUESTIONS: dict[str, Question] = {
    "h6a": Question(
        id="h6a",
        question="How does the combination of VAPO's enhancements affect the guarantees of PPO?",
        estimand=(
            "share of full VAPO's updates that lower the true J over the training problems (by more than 1e-6, the arithmetic's"
            " precision) if every mini-batch were infinitely large: the recipe's own update from the weights it has reached,"
            " with 8,192 responses in place of 256, equally many optimiser steps, Adam's mean gradient set to that of these"
            " responses. One share per run, over its RL steps."
        ),
        unit="share of updates",
        prediction=(
            "Positive. The bound that guarantees improvement, 2 l (l - 1) TV^2 max|A|, exceeds 1 from 8 tokens on at clip"
            " 0.2 / 0.2 and from 7 at 0.2 / 0.28 (R8), so nothing is guaranteed. The shift it bounds is far smaller; what"
            " fails is the objective: lambda < 1, whitening's shift, the imitation loss and the clip leave a bias (R1, R7)"
            " that stays as grad J falls, so near convergence updates follow the bias. Sampled updates fail besides, with"
            " probability about Phi(-signal / noise), under any guarantee."
        ),
        threshold=0.05,
        primary="walk",
        also=("exact", "tiny_lm"),
        floor=Floor("total variation between new and old policy, mean over tokens of an update", 0.001),
    ),
    "h6b": Question(
        id="h6b",
        question="Which components interact, and do combinations fail where single ones do not?",
        estimand=(
            "minus the interaction value_pretraining x decoupled_gae (the AB/2 contrast: half the difference between"
            " the effect of value pretraining with decoupled GAE and without) on the area under the curve of exact J, over"
            " all settings of the other five, critics starting with a bias of 1 (critic_bias = 1). The same sign is asked of"
            " the contrast on log-odds: where it differs nothing is decided, where that interval lies wholly on the other"
            " side the verdict is conditional."
        ),
        unit="AUC",
        prediction=(
            "Positive, that is a negative interaction: both components take away one and the same initial error (R9: pretraining"
            " before RL starts, lambda_critic = 1 in one sweep), so the second has little left to do. A fresh head says about"
            " 0 where values are about 0.2, so there would be no error to take away; a bias of 1, the whole range of rewards,"
            " stands for a critic made from a reward model. Also: decoupled x length_adaptive differs from 0 by construction"
            " (without decoupling the critic takes the policy's lambda); the rest are near 0."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "critic's mean squared error to returns at the first step without value pretraining, less that with it, reward^2",
            0.1,
        ),
    ),
}

BIASED = {"critic_bias": 1.0}
"""Settings of h6b's critics."""

EVERY: dict[str, int] = {"smoke": 2, "quick": 3, "full": 2}
"""RL steps between large updates."""

MORE: dict[str, tuple[int, ...]] = {"smoke": (), "quick": (), "full": tuple(range(1032, 1096))}
"""Seeds of the updates beside those of the core tables: falls are rare, and some runs may be more prone to them."""

RUNS: dict[str, int] = {"smoke": 32, "quick": 64, "full": 128}
"""Combinations of a replicate on the walk. 64 alias no two-way interaction with another, 32 none with the one asked for."""

REPLICATES: dict[str, dict[str, int]] = {
    "walk": {"smoke": 2, "quick": 2, "full": 32},
    "lm": {"smoke": 1, "quick": 3, "full": 5},
}
"""Seeds of the factorials, the first of the core tables'."""

PAIR = ("value_pretraining", "decoupled_gae")


def updates(preset: str) -> tuple[RunSpec, ...]:
    """h6a: full VAPO on the walk; on text that of the core table."""
    probes = dict.fromkeys(("large_update", "improvement"), EVERY[preset])
    return tuple(core.run("walk", preset, seed, probes=probes) for seed in (*core.SEEDS["walk"][preset], *MORE[preset]))


def text_updates(preset: str) -> tuple[RunSpec, ...]:
    """h6a: full VAPO of the core table."""
    return tuple(
        core.run("lm", preset, seed, task=task)
        for task in core.TASKS["lm"][: 1 if preset == "smoke" else None]
        for seed in core.SEEDS["lm"][preset]
    )


def combinations(runs: int) -> list[Toggles]:
    """The cells of a factorial or of a fraction of it."""
    cells = full_factorial() if runs == 128 else fractional_factorial(runs)
    return [cell.toggles for cell in cells]


def corners() -> list[Toggles]:
    """Both components of the pair on and off, the other five on."""
    return [core.without(*off) for off in ((), PAIR[:1], PAIR[1:], PAIR)]


def factorial(preset: str) -> tuple[RunSpec, ...]:
    """h6b: combinations of components from a biased critic; on text a 64-run fraction, below full only the pair's corners."""
    cells: dict[core.World, list[Toggles]] = {
        "walk": combinations(RUNS[preset]),
        "lm": combinations(64) if preset == "full" else corners(),
    }
    return tuple(
        core.run(world, preset, seed, toggles=toggles, settings=BIASED, probes={})
        for world, chosen in cells.items()
        for seed in core.SEEDS[world][preset][: REPLICATES[world][preset]]
        for toggles in chosen
    )


def specs(preset: str) -> tuple[RunSpec | ExactSpec, ...]:
    """Every run of the study; the factorial from a fresh critic, which h6b is shown beside, is the components' core table."""
    if preset == "real":
        return tuple(real.h6())
    fresh = core.walk(preset) if preset == "full" else ()
    return (*updates(preset), *text_updates(preset), *factorial(preset), *fresh, *exact_specs.h6(preset))
