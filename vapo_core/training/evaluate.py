"""How good the policy is: sampled at the training temperature on the same held-out problems in every arm."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from vapo_core.seeds import child
from vapo_core.settings import Evaluation
from vapo_core.tasks.base import Grade
from vapo_core.training.collect import grade_all
from vapo_core.training.metrics import pass_at_k
from vapo_core.types import Problem
from vapo_core.worlds.base import World


def held_out_problems(world: World, evaluation: Evaluation, seed: int) -> list[Problem]:
    """The evaluation problems of a seed."""
    return world.task.sample(np.random.default_rng(seed), evaluation.problems, "held_out")


def evaluate(world: World, evaluation: Evaluation, problems: Sequence[Problem], seed: int) -> dict[str, float]:
    """pass@1, pass@k, distinct correct answers and what is known exactly; names as in `metrics.py`.

    Every evaluation of a seed draws with the same random numbers, so differences along a run are less noisy.
    """
    world.engine.sync()
    singles = _grades(world, problems, 1, child(seed, 0))
    few = problems[: evaluation.k_problems]
    answers = 2 * evaluation.k
    many = _grades(world, few, answers, child(seed, 1))
    grouped = iter(many)
    groups = [list(islice(grouped, answers)) for _ in few]
    correct = [sum(g.reward == 1.0 for g in group) for group in groups]
    return {
        "val/pass_at_1": float(np.mean([g.reward == 1.0 for g in singles])),
        f"val/pass_at_{evaluation.k}": float(np.mean([pass_at_k(answers, c, evaluation.k) for c in correct])),
        "val/distinct_correct": float(np.mean([len({g.mode for g in group if g.reward == 1.0}) for group in groups])),
        "val/parsed": float(np.mean([g.parsed for g in singles])),
        **world.exact_metrics(),
    }


def _grades(world: World, problems: Sequence[Problem], answers: int, seed: int) -> list[Grade]:
    rollout = world.engine.generate(problems, answers, seed)
    return grade_all(world.task, problems, answers, rollout)
