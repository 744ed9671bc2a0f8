"""Does the critic prefer the better of two next steps? The share of the gap in true value that following it captures."""

from collections.abc import Sequence

import numpy as np

from vapo_core.oracles.intervals import above_zero, jackknife
from vapo_core.oracles.monte_carlo import critic_at, values_at
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.types import Problem

RESPONSES = 128
"""Held-out problems answered once each; the places are step starts in the answers."""

PLACES = 96
"""Places on text; every decision where values are exact."""

CONTINUATIONS = 16
"""Continuations of an alternative for the numerator on text, where any number is unbiased."""

HALF = 32
"""Continuations in each of two halves for the denominator, since |V_a - V_b| has no unbiased estimate."""

LEAST_GAP = 1e-3
"""Below this mean gap in true value there is nothing to rank, verifier units; on text the halves must agree too."""

METRICS: dict[str, tuple[str, str]] = {
    "ranking/gap_captured": (
        "share",
        "gap in true V between alternative next steps that the critic's preference captures: 1 all, 0 none, -1 reversed",
    ),
    "ranking/gap_captured_low": ("share", "lower end of its 95 % jackknife interval over prompts"),
    "ranking/gap_captured_high": ("share", "upper end of its 95 % jackknife interval over prompts"),
    "ranking/gap_captured_monte_carlo": (
        "share",
        "the same for the preference of 32 continuations, where values are not exact; a perfect critic scores higher",
    ),
    "ranking/gap": ("reward", "mean absolute difference of true V between alternative next steps"),
    "ranking/pairs": ("count", "pairs of alternatives compared"),
}


def measure(view: View) -> Measurement:
    """Gap captured on held-out problems; see `captured`."""
    found = captured(view, view.held_out, "ranking")
    return Measurement({f"ranking/{name}": x for name, x in found.items()})


def captured(view: View, problems: Sequence[Problem], stream: str, *path: int) -> dict[str, float]:
    """Gap captured on alternative next steps = sum sign(V_hat_a - V_hat_b)(V_a - V_b) / sum |V_a - V_b| over pairs.

    Alternatives differ, start from one prefix and do not end the response: after its end there is no value. Walk: both
    moves at every decision of sampled responses, values exact. Text: next steps sampled from the policy, duplicates
    dropped; numerator and denominator come from separate continuations (METHODS.md section 3).

    Args:
        view: the run.
        problems: what is answered.
        stream, path: whose random numbers are drawn, and which of them.

    Raises:
        CannotRun: without a critic, or if there is nothing to choose between.
    """
    if not view.recipe.credit.needs_critic:
        raise CannotRun("ranking: this recipe has no critic")
    asked = [problems[i % len(problems)] for i in range(RESPONSES)]
    rollout = view.world.engine.generate(asked, 1, view.seed(f"{stream}/responses", *path))
    found = view.world.branches(asked, rollout, PLACES, view.seed(f"{stream}/branches", *path))
    first, second = pairs(found.place)
    if not len(first):
        raise CannotRun("ranking: no place has two next steps to choose between")
    critic = critic_at(view.world.critic, found.responses, found.row, found.time, view.settings)
    places = (view.world, found.responses, found.problems, found.row, found.time)
    value, noise = values_at(*places, CONTINUATIONS, view.seed(f"{stream}/values", *path))
    halves = [values_at(*places, HALF, view.seed(f"{stream}/halves", half, *path))[0] for half in range(2)]
    one, other = (half[first] - half[second] for half in halves)
    gap = mean_gap(one, other)
    prompts = np.array([problem.prompt for problem in found.problems])[found.row[first]]
    agreement = np.sign(one) * other  # its mean is 0 without true gaps, which that of |one| is not
    if gap < LEAST_GAP or (noise.any() and not above_zero(lambda rows: float(agreement[rows].mean()), prompts)):
        raise CannotRun("ranking: alternative next steps do not differ in value")
    won = np.sign(critic[first] - critic[second]) * (value[first] - value[second])

    def share(rows: np.ndarray) -> float:
        return float(won[rows].mean()) / mean_gap(one[rows], other[rows])

    metrics = {"gap_captured": share(np.arange(len(won))), "gap": gap, "pairs": float(len(won))}
    others = (prompts != name for name in np.unique(prompts))
    without = [mean_gap(one[rows], other[rows]) if rows.any() else 0.0 for rows in others]
    if min(without) >= LEAST_GAP:  # else all of the gap is one prompt's
        _, metrics["gap_captured_low"], metrics["gap_captured_high"] = jackknife(share, prompts)
    if noise.any():
        metrics["gap_captured_monte_carlo"] = float(agreement.mean()) / gap
    return metrics


def mean_gap(one: np.ndarray, other: np.ndarray) -> float:
    """E|V_a - V_b| from two independent estimates of every difference, both [N]; exact where they have no noise.

    Noise of variance s^2 / K raises E|.| by about f(0) s^2 / K, f the density of the true differences; twice the value at
    2 K continuations minus the value at K is free of that. Ties keep a bias: a pair with |V_a - V_b| far below
    s / sqrt(K) reads 0.33 s / sqrt(K), 0.041 at K = 32 and even chances. There a mean of 0.100 reads 0.119 if half of
    the pairs are tied, one of 0.020 reads 0.057 if nine tenths are: gap captured is too near 0 by that factor.
    """
    half = (np.abs(one).mean() + np.abs(other).mean()) / 2
    return float(2 * np.abs((one + other) / 2).mean() - half)


def pairs(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of alternatives to one another: two arrays of numbers into `place`, which is sorted."""
    first, second = np.nonzero(np.triu(place[:, None] == place[None, :], k=1))
    return first, second
