"""How good is the policy on every split of its task: in distribution, longer, with new operators or compositions?"""

import numpy as np

from vapo_core.collect_batch import grade_all
from vapo_core.probes.base import Measurement, View
from vapo_core.tasks.base import SPLITS

PROBLEMS = 512
"""Problems of each split, one answer each."""

METRICS: dict[str, tuple[str, str]] = {
    **{f"generalization/accuracy_{split}": ("share", f"one sampled answer right, split {split}") for split in SPLITS},
    **{f"generalization/length_{split}": ("tokens", f"mean response length, split {split}") for split in SPLITS},
}


def measure(view: View) -> Measurement:
    """Accuracy and mean response length by split; training problems are those of the run's own pool."""
    metrics: dict[str, float] = {}
    for number, split in enumerate(view.world.task.splits):
        rng = np.random.default_rng(view.seed(7, number))
        problems = view.world.task.sample(rng, PROBLEMS, split)
        if split == "train":
            problems = [view.pool[i % len(view.pool)] for i in range(PROBLEMS)]
        rollout = view.world.engine.generate(problems, 1, view.seed(8, number))
        grades = grade_all(view.world.task, problems, 1, rollout)
        metrics[f"generalization/accuracy_{split}"] = float(np.mean([g.reward == 1.0 for g in grades]))
        metrics[f"generalization/length_{split}"] = float(rollout.mask.sum(1).float().mean())
    return Measurement(metrics)
