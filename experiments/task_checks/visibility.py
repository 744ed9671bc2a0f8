"""What a language task offers an experiment: room to learn, lengths that vary, and a state that a critic can see.

A task on which no critic beats the best position-only one has no place in questions about critics.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.bootstrap import cluster_bootstrap
from experiments.runs.run import build_trainer
from experiments.specs.spec import RunSpec, TaskSpec, spec_for
from vapo_core.oracles.monte_carlo import sampled_truth
from vapo_core.oracles.truth import Truth, position_variance, unexplained, value_variance
from vapo_core.seeds import child
from vapo_core.settings import DEFAULT_SETTINGS, Base


class Size(NamedTuple):
    """How carefully to look."""

    warmup_steps: int = 20
    """Steps of value pretraining of the critic that is judged."""
    responses: int = 256
    """Held-out responses that prefixes are cut from."""
    prefixes: int = 600
    continuations: int = 16


def judge(task: str, dials: dict[str, Any], seed: int, init: int, runs: Path, size: Size) -> dict[str, Any]:
    """One row of the table: a task, a base initialisation, a critic trained on the base policy's returns.

    FVU is the fraction of Var(V) left unexplained: the best constant has 1, a perfect critic 0. Monte-Carlo noise is
    taken out of both (METHODS.md, section 3); intervals resample prompts.
    """
    trainer = build_trainer(_spec(task, dials, seed, init, size), runs)
    trainer.steps = 0
    first: dict[str, float] = {}
    trainer.run(lambda step, metrics: first.update(metrics))
    world = trainer.world
    problems = world.task.sample(np.random.default_rng(child(seed, 7)), size.responses, "held_out")
    rollout = world.engine.generate(problems, 1, child(seed, 8))
    settings = trainer.settings
    found = sampled_truth(world, problems, rollout, child(seed, 9), settings, size.prefixes, size.continuations)
    lengths = rollout.mask.sum(1).float()
    return {
        "task": task, "init": init, "seed": seed, "base_accuracy": first["val/pass_at_1"],
        "mean_length": float(lengths.mean()), "length_cv": float(lengths.std(correction=0) / lengths.mean()),
        "var_v": value_variance(found),
        **fractions(found, np.array([problems[r].prompt for r in found.row]), seed),
        **training_gain(task, dials, seed, init, runs),
    }  # fmt: skip


def training_gain(task: str, dials: dict[str, Any], seed: int, init: int, runs: Path) -> dict[str, float]:
    """What full VAPO makes of the base with the world's own settings: accuracy after, and how lengths vary on the way."""
    spec = spec_for("vapo", "lm", seed, TaskSpec(name=task, dials=dials), base=Base(init=init))
    points: list[tuple[int, dict[str, float]]] = []
    build_trainer(spec, runs).run(lambda step, metrics: points.append((step, dict(metrics))))
    accuracy = [metrics["val/pass_at_1"] for _, metrics in points if "val/pass_at_1" in metrics]
    varying = [metrics["activity/token_level_loss"] for step, metrics in points if step]
    third = len(varying) // 3
    return {
        "steps": float(spec.steps), "accuracy_after": accuracy[-1], "lift": accuracy[-1] - accuracy[0],
        "length_cv_first_third": float(np.mean(varying[:third])), "length_cv_last_third": float(np.mean(varying[-third:])),
    }  # fmt: skip


def fractions(found: Truth, prompts: np.ndarray, seed: int) -> dict[str, float]:
    """FVU of the critic and of the best position-only critic, each with a 95 % interval over prompts."""

    def critic(rows: np.ndarray) -> float:
        return unexplained(found.where(rows))

    def position(rows: np.ndarray) -> float:
        return position_variance(found.where(rows)) / value_variance(found.where(rows))

    named: dict[str, float] = {}
    for name, statistic in (("critic", critic), ("position", position)):
        interval = cluster_bootstrap(statistic, prompts, np.random.default_rng(child(seed, 10)), draws=500)
        named |= {f"fvu_{name}": interval.estimate, f"fvu_{name}_low": interval.low, f"fvu_{name}_high": interval.high}
    return named


def _spec(task: str, dials: dict[str, Any], seed: int, init: int, size: Size) -> RunSpec:
    settings = DEFAULT_SETTINGS["lm"].model_copy(update={"warmup_steps": size.warmup_steps})
    return spec_for("vapo", "lm", seed, TaskSpec(name=task, dials=dials), settings, base=Base(init=init))
