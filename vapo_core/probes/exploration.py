"""Is the policy still exploring? Entropy on fixed prefixes, modes still found, and how evenly."""

import numpy as np
import torch

from vapo_core.probes.base import Measurement, View
from vapo_core.training.collect import grade_all
from vapo_core.training.metrics import pass_at_k

DEMONSTRATIONS = 64
"""Held-out problems whose demonstrations are the fixed prefixes: the same for every policy, step and arm."""

PROBLEMS, ANSWERS = 16, 16
"""Held-out problems and answers for the modes."""

METRICS: dict[str, tuple[str, str]] = {
    "exploration/prefix_entropy": ("nats/token", "mean entropy on the prefixes of fixed demonstrations"),
    "exploration/solved_once": (
        "share",
        "held-out problems solved by one of 16 answers; guesses and skipped steps do not count",
    ),
    "exploration/pass_at_8": ("share", "the same by one of 8 answers, unbiased from 16"),
    "exploration/guessed": ("share", "right answers that are guesses or skip steps; absent if none is right"),
    "exploration/modes": ("count", "distinct modes among the 16 answers to a problem that solve it"),
    "exploration/mode_diversity": (
        "probability",
        "two answers that solve a problem differ in mode, mean over problems solved at least twice; absent without one",
    ),
    "exploration/exact_solved": ("share", "exact probability of a right answer that is no guess, where it is known"),
    "exploration/exact_depth": ("nats", "exact log-odds of a guess over a right answer, mean over problems"),
    "exploration/exact_mode_entropy": (
        "share of log(modes)",
        "exact entropy over modes of a right answer, mean over problems: 1 even, 0 one mode left; absent with one mode",
    ),
}


def measure(view: View) -> Measurement:
    """Entropy on fixed prefixes, problems solved within several answers, and how the solving answers differ.

    Entropy on prefixes of demonstrations moves only with the policy, not with what it happens to visit. Diversity is
    1 - sum_m n_m (n_m - 1) / (n (n - 1)) over modes m of a problem's n solving answers: unbiased for 1 - sum p_m^2 at any
    n, so it does not rise with the success rate as a plug-in entropy does; 0 when one mode is left (METHODS.md h4b, R7).
    """
    shown = [view.held_out[i % len(view.held_out)] for i in range(DEMONSTRATIONS)]
    fixed = view.world.demonstrated(shown, view.seed("exploration/demonstrations"))
    with torch.no_grad():
        entropy = view.world.policy(fixed)[1][fixed.mask].mean()
    problems = view.held_out[:PROBLEMS]
    rollout = view.world.engine.generate(problems, ANSWERS, view.seed("exploration/responses"))
    grades = grade_all(view.world.task, problems, ANSWERS, rollout)
    solved = np.array([g.reasoned for g in grades]).reshape(-1, ANSWERS)
    modes = np.array([g.mode for g in grades]).reshape(-1, ANSWERS)
    right = sum(g.reward == 1.0 for g in grades)
    metrics = {
        "exploration/prefix_entropy": float(entropy),
        "exploration/solved_once": float(solved.any(1).mean()),
        "exploration/pass_at_8": float(np.mean([pass_at_k(ANSWERS, int(c), ANSWERS // 2) for c in solved.sum(1)])),
        "exploration/modes": float(np.mean([len(set(m[s])) for m, s in zip(modes, solved, strict=True)])),
    }
    if right:
        metrics["exploration/guessed"] = 1 - float(solved.sum()) / right
    diversities = [diversity(m[s]) for m, s in zip(modes, solved, strict=True) if s.sum() > 1]
    if diversities:
        metrics["exploration/mode_diversity"] = float(np.mean(diversities))
    outcomes = view.world.exact_outcomes(view.held_out)
    return Measurement(metrics | ({} if outcomes is None else exact(outcomes)))


def exact(outcomes: np.ndarray) -> dict[str, float]:
    """What probabilities say. outcomes: [N, modes + 1], right answers by mode, then guesses; rows sum to 1 or less."""
    modes, guess = outcomes[:, :-1], outcomes[:, -1]
    solved = modes.sum(1)
    found = {"exploration/exact_solved": float(solved.mean())}
    possible = solved > 0
    if (possible & (guess > 0)).any():
        both = possible & (guess > 0)
        found["exploration/exact_depth"] = float(np.log(guess[both] / solved[both]).mean())
    if modes.shape[1] > 1 and possible.any():
        share = modes[possible] / solved[possible, None]
        entropy = -(share * np.log(np.maximum(share, np.finfo(float).tiny))).sum(1)
        found["exploration/exact_mode_entropy"] = float(entropy.mean() / np.log(modes.shape[1]))
    return found


def diversity(modes: np.ndarray) -> float:
    """Probability that two of these n >= 2 answers, drawn without replacement, differ: unbiased for 1 - sum p^2."""
    _, counts = np.unique(modes, return_counts=True)
    return 1 - float((counts * (counts - 1)).sum()) / (len(modes) * (len(modes) - 1))
