"""How good is the policy on every split of its task: in distribution, longer, with new operators or compositions?"""

import numpy as np

from vapo_core.probes.base import Measurement, View
from vapo_core.tasks.base import SPLITS
from vapo_core.training.collect import grade_all

PROBLEMS = 1024
"""Problems of each split, one answer each; two splits out of distribution have 2,048 (METHODS.md h5b)."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"generalization/accuracy_{split}": ("share", f"answers right: exact, else one sampled each, split {split}")
        for split in SPLITS
    },
    **{f"generalization/length_{split}": ("tokens", f"mean response length, split {split}") for split in SPLITS},
}


def measure(view: View) -> Measurement:
    """Accuracy and mean response length by split; training problems are those of the run's own pool.

    The same problems and random numbers at every step, so that a change along a run is less noisy than an accuracy.
    """
    metrics: dict[str, float] = {}
    for number, split in enumerate(view.world.task.splits):
        rng = np.random.default_rng(view.seed("generalization/problems", number))
        problems = view.world.task.sample(rng, PROBLEMS, split)
        if split == "train":
            problems = [view.pool[i % len(view.pool)] for i in range(PROBLEMS)]
        rollout = view.world.engine.generate(problems, 1, view.seed("generalization/responses", number))
        exact = view.world.exact_at(rollout, np.arange(PROBLEMS), np.zeros(PROBLEMS, int))
        right = [g.reward == 1.0 for g in grade_all(view.world.task, problems, 1, rollout)] if exact is None else exact
        metrics[f"generalization/accuracy_{split}"] = float(np.mean(right))
        metrics[f"generalization/length_{split}"] = float(rollout.mask.sum(1).float().mean())
    return Measurement(metrics)
