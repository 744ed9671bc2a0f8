"""Data whose truth is known, and the interval that is asked for it: one function a kind of interval."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from optuna.trial import FrozenTrial, create_trial

from analysis.statistics.aft import exponent_difference
from analysis.statistics.aggregate import probability_of_improvement
from analysis.statistics.bootstrap import cluster_bootstrap
from analysis.statistics.dose_response import d50, shift_over_seeds
from analysis.statistics.intervals import paired, student
from analysis.sweeps.sweep import best_range
from experiments.sweeps.proposals import distribution, propose
from experiments.sweeps.space import Dimension, SearchPlan
from vapo_core.oracles.intervals import interval_of
from vapo_core.oracles.truth import Truth, calibration_line, squared_error, unexplained
from vapo_core.probes.expected_gradients import Groups, noise_scale
from vapo_core.probes.policy_shift import paired_change

ALPHA = Dimension("alpha", "log", 0.02, 20.0, False)
K, PLACES, ANSWERS = 16, 4, 4
"""Continuations per place, places per prompt, answers per prompt."""


class Found(NamedTuple):
    """An interval and the truth it should hold; low and high are nan where the method declines to give one."""

    low: float
    high: float
    truth: float


Draw = Callable[[np.random.Generator], Found]


# --- means over seeds ---


def beta(a: float, b: float, rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.beta(a, b, size)


def failing(rng: np.random.Generator, size: int) -> np.ndarray:
    """A tenth of the runs diverges and counts 0."""
    return rng.beta(20, 5, size) * (rng.random(size) < 0.9)


SCORES: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal": (lambda rng, size: rng.normal(0.5, 0.1, size), 0.5),
    "scores near the top: beta(8, 2)": (partial(beta, 8.0, 2.0), 0.8),
    "scores near 0: beta(1, 8)": (partial(beta, 1.0, 8.0), 1 / 9),
    "a run in ten diverges": (failing, 0.9 * 0.8),
}  # fmt: skip


ARMS = ("paired scores", "one arm diverges in a run of ten")


def mean_of_seeds(data: str, seeds: int, level: float, rng: np.random.Generator) -> Found:
    sample, truth = SCORES[data]
    found = student(sample(rng, seeds), level)
    return Found(found.low, found.high, truth)


def difference_of_arms(data: str, seeds: int, level: float, rng: np.random.Generator) -> Found:
    """The reference's score is the seed's; the other arm keeps a share of it, at times nothing."""
    reference = rng.beta(8, 3, seeds)
    kept, truth = rng.beta(18, 2, seeds), -0.1 * 8 / 11
    if data == ARMS[1]:
        kept, truth = kept * (rng.random(seeds) < 0.9), (0.81 - 1) * 8 / 11
    found = paired(kept * reference, reference, level)
    return Found(found.low, found.high, truth)


def bootstrap_of_a_mean(units: int, rng: np.random.Generator) -> Found:
    """METHODS.md, section 1: a percentile bootstrap covers 84 / 90 / 92 / 93 % at 5 / 10 / 16 / 20."""
    x = rng.normal(size=units)
    found = cluster_bootstrap(lambda rows: float(x[rows].mean()), np.arange(units), rng, draws=500)
    return Found(found.low, found.high, 0.0)


# --- arms compared run by run, doses, times ---


def better_of(by: float, seeds: int, rng: np.random.Generator) -> Found:
    """P(a run of one arm above one of the other), normal scores that are `by` sd apart."""
    found = probability_of_improvement(rng.normal(by, 1, seeds), rng.normal(0, 1, seeds))
    return Found(found.low, found.high, 0.5 * math.erfc(-by / 2))


def escapes(slope: float, spread: float, seeds: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """dose, hit, arm, seed: depths 0 .. 6 nats, d50 anywhere in 2.5 .. 3.5, shift 0.7, seeds apart by sd `spread` in both."""
    label = np.tile(np.repeat(np.arange(seeds), 7), 2)
    dose, arm = np.tile(np.arange(7.0), 2 * seeds), np.arange(14 * seeds) >= 7 * seeds
    centre = rng.uniform(2.5, 3.5) + 0.7 * arm + spread * rng.normal(size=seeds)[label]
    return dose, rng.random(dose.size) < 1 / (1 + np.exp(-slope * (centre - dose))), arm, label


def dose_of_even_odds(slope: float, seeds: int, rng: np.random.Generator) -> Found:
    dose, true = np.tile(np.arange(7.0), seeds), rng.uniform(2, 4)
    found = d50(dose, rng.random(dose.size) < 1 / (1 + np.exp(-slope * (true - dose))))
    return Found(found.low, found.high, true)


def shift_of_d50(slope: float, spread: float, seeds: int, rng: np.random.Generator) -> Found:
    found = shift_over_seeds(*escapes(slope, spread, seeds, rng))
    return Found(found.low, found.high, 0.7)


def exponents(end: float, seeds: int, rng: np.random.Generator) -> Found:
    """Times 5 x^1 and 5 x^1.5 at horizons 8 .. 64, noise 0.3 of the log and 0.2 shared by a seed's runs, cut off at `end`."""
    arm, label, x = (part.ravel() for part in np.meshgrid([0, 1], range(seeds), [8.0, 16, 32, 64], indexing="ij"))
    level = 0.2 * rng.normal(size=seeds)[label] + 0.3 * rng.normal(size=x.size)
    time = 5 * x ** (1 + 0.5 * arm) * np.exp(level)
    found = exponent_difference(x, np.minimum(time, end), time <= end, arm == 1, label)
    return Found(found.low, found.high, 0.5)


# --- values at places: prompts are clusters ---


def places(prompts: int, rng: np.random.Generator) -> tuple[Truth, np.ndarray]:
    """V is half the prompt's and half the place's own, both beta(2, 3); so is the critic's error (sd 0.06 and 0.06)."""
    cluster = np.repeat(np.arange(prompts), PLACES)
    v = 0.5 * rng.beta(2, 3, prompts)[cluster] + 0.5 * rng.beta(2, 3, len(cluster))
    error = 0.06 * (rng.normal(size=prompts)[cluster] + rng.normal(size=len(cluster)))
    returns = rng.random((len(v), K)) < v[:, None]
    noise = returns.var(axis=1, ddof=1) / K
    return Truth(cluster, np.zeros(len(v), int), np.ones(len(v), int), v + error, returns.mean(1), noise), cluster


VARIANCE, ERROR = 0.5 * 0.04, 2 * 0.06**2
"""Var(V), as beta(2, 3) has variance 0.04, and the critic's squared error."""

STATISTICS: dict[str, tuple[Callable[[Truth], float], float]] = {
    "squared error": (squared_error, ERROR),
    "FVU": (unexplained, ERROR / VARIANCE),
    "calibration slope": (lambda truth: calibration_line(truth)[0], VARIANCE / (VARIANCE + ERROR)),
}


def jackknifed(name: str, prompts: int, rng: np.random.Generator) -> Found:
    statistic, truth = STATISTICS[name]
    found = interval_of(statistic, *places(prompts, rng))
    return Found(found.low, found.high, truth)


def bootstrapped(name: str, prompts: int, rng: np.random.Generator) -> Found:
    statistic, truth = STATISTICS[name]
    data, cluster = places(prompts, rng)
    found = cluster_bootstrap(lambda rows: statistic(data.where(rows)), cluster, rng, draws=500)
    return Found(found.low, found.high, truth)


# --- gradients and updates ---


def scale_of_noise(tail: float, scale: float, prompts: int, rng: np.random.Generator) -> Found:
    """Prompts' gradients have log-normal sizes (sd of the log `tail`); |G|^2 = 1. `scale` is in responses."""
    size = np.exp(tail * rng.normal(size=prompts) - tail**2)  # mean square 1
    rows = size[:, None] * rng.normal(size=(prompts, 64)) * math.sqrt(scale / ANSWERS / 64)
    rows[:, 0] += 1.0
    found = noise_scale(rows @ rows.T, Groups(ANSWERS, np.zeros(len(rows)), ANSWERS))
    return Found(found.low, found.high, scale) if found else Found(math.nan, math.nan, scale)


def change_of_j(success: float, step: float, responses: int, rng: np.random.Generator) -> Found:
    """An update that raises p(success) by a share `step` of its odds and moves what does not matter as much."""
    hit = rng.random(responses) < success
    after = success * (1 + step) / (1 + step * success)
    aside = step * rng.normal(size=responses) - step**2 / 2
    log_ratio = np.where(hit, math.log(after / success), math.log((1 - after) / (1 - success))) + aside
    change, error = paired_change(torch.from_numpy(log_ratio), torch.from_numpy(hit.astype(float)))
    return Found(change - 1.96 * error, change + 1.96 * error, after - success)


# --- the recommended alpha ---


def recommended(tpe: bool, seeds: int, rng: np.random.Generator) -> Found:
    """Sixteen trials over three decades; scores are a parabola in log alpha with levels by seed and noise by run."""
    truth, levels = rng.uniform(-0.7, 0.7), rng.normal(0, 0.05, seeds)
    plan = SearchPlan("simulated", (ALPHA,), 16, seeds, "tpe" if tpe else "random", int(rng.integers(2**31)), "none")
    history, scores = list[FrozenTrial](), list[np.ndarray]()
    for slot in range(plan.trials):
        alpha = propose(plan, slot, history)["alpha"] if tpe else 10 ** rng.uniform(math.log10(0.02), math.log10(20))
        level = 0.6 - 0.06 * (math.log10(alpha) - truth) ** 2
        scores.append(level + levels + rng.normal(0, 0.02, seeds))
        value, space = float(scores[-1][: seeds // 2].mean()), dict([distribution(ALPHA)])
        history.append(
            create_trial(params={"alpha": alpha}, distributions=space, value=value, user_attrs={"slot": slot})
        )
    values, best = np.array([t.params["alpha"] for t in history]), int(np.argmax([t.value for t in history]))
    low, high, *_ = best_range(values, np.array(scores)[:, seeds // 2 :], best, (ALPHA.low, ALPHA.high))
    return Found(low, high, 10**truth)
