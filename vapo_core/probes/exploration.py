"""Is the policy still exploring? Entropy on fixed prefixes, modes still found, and how evenly."""

import numpy as np
import torch

from vapo_core.collect_batch import grade_all
from vapo_core.metrics import pass_at_k
from vapo_core.probes.base import Measurement, View

DEMONSTRATIONS = 64
"""Held-out problems whose demonstrations are the fixed prefixes: the same for every policy, step and arm."""

PROBLEMS, ANSWERS = 16, 16
"""Held-out problems and answers for the modes."""

METRICS: dict[str, tuple[str, str]] = {
    "exploration/prefix_entropy": ("nats/token", "mean entropy on the prefixes of fixed demonstrations"),
    "exploration/solved_once": ("share", "held-out problems with a correct answer among 16"),
    "exploration/pass_at_8": ("share", "held-out problems solved by one of 8 answers, unbiased from 16"),
    "exploration/modes": ("count", "distinct modes among a problem's correct answers, of 16"),
    "exploration/mode_entropy": ("share of ln M", "entropy of correct answers over modes, mean over solved problems"),
}


def measure(view: View) -> Measurement:
    """Entropy on fixed prefixes, problems solved within several answers, distinct correct modes and their entropy.

    Entropy on prefixes of demonstrations moves only with the policy, not with what it happens to visit. The entropy over
    correct modes is H / ln M with M the modes seen correct on any problem; absent if M < 2.
    """
    shown = [view.held_out[i % len(view.held_out)] for i in range(DEMONSTRATIONS)]
    fixed = view.world.demonstrated(shown, view.seed(2))
    with torch.no_grad():
        entropy = view.world.policy(fixed)[1][fixed.mask].mean()
    problems = view.held_out[:PROBLEMS]
    rollout = view.world.engine.generate(problems, ANSWERS, view.seed(3))
    grades = grade_all(view.world.task, problems, ANSWERS, rollout)
    correct = np.array([g.reward == 1.0 for g in grades]).reshape(-1, ANSWERS)
    modes = np.array([g.mode for g in grades]).reshape(-1, ANSWERS)
    metrics = {
        "exploration/prefix_entropy": float(entropy),
        "exploration/solved_once": float(correct.any(1).mean()),
        "exploration/pass_at_8": float(np.mean([pass_at_k(ANSWERS, int(c), ANSWERS // 2) for c in correct.sum(1)])),
        "exploration/modes": float(np.mean([len(set(m[c])) for m, c in zip(modes, correct, strict=True)])),
    }
    found = np.unique(modes[correct])
    if len(found) > 1:
        metrics["exploration/mode_entropy"] = _mode_entropy(modes, correct, len(found))
    return Measurement(metrics)


def _mode_entropy(modes: np.ndarray, correct: np.ndarray, number: int) -> float:
    """Mean over solved problems of the entropy of their correct answers' modes, over ln `number`."""
    entropies = []
    for row, right in zip(modes, correct, strict=True):
        if right.any():
            _, counts = np.unique(row[right], return_counts=True)
            share = counts / counts.sum()
            entropies.append(float(-(share * np.log(share)).sum() / np.log(number)))
    return float(np.mean(entropies))
