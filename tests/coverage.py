"""Do intervals hold the truth as often as they state? Simulated on data like the study's: bounded, skewed, few seeds.

`python -m tests.coverage --repetitions 2000 --out tests/soak/coverage.csv` is part of `make soak`. Every case draws data
whose truth is known exactly, asks for the interval, and counts.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from optuna.trial import FrozenTrial, create_trial

from analysis.statistics.aft import exponent_difference
from analysis.statistics.aggregate import probability_of_improvement
from analysis.statistics.bootstrap import cluster_bootstrap
from analysis.statistics.dose_response import d50, shift_over_seeds
from analysis.statistics.intervals import paired, student, studentised
from analysis.statistics.survival import restricted_mean
from analysis.sweep import best_range
from experiments.proposals import distribution, propose
from experiments.space import Dimension, Plan
from tests.tables import write_table
from vapo_core.oracles.intervals import interval_of
from vapo_core.oracles.truth import Truth, calibration_line, squared_error, unexplained
from vapo_core.probes.expected_gradients import Groups, noise_scale
from vapo_core.probes.policy_shift import paired_change

ONE_OF_SIXTEEN = 1 - 0.05 / 16
ALPHA = Dimension("alpha", "log", 0.02, 20.0, False)
K, PLACES, ANSWERS = 16, 4, 4
"""Continuations per place, places per prompt, answers per prompt."""


class Found(NamedTuple):
    """An interval and the truth it should hold; low and high are nan where the method declines to give one."""

    low: float
    high: float
    truth: float


Draw = Callable[[np.random.Generator], Found]


class Case(NamedTuple):
    """What is asked how often."""

    interval: str
    data: str
    units: int
    """Seeds, prompts or responses, whichever the interval counts."""
    stated: float
    draw: Draw


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


def bootstrap_t_of_seeds(data: str, seeds: int, level: float, rng: np.random.Generator) -> Found:
    sample, truth = SCORES[data]
    found = studentised(sample(rng, seeds), level, rng)
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
    """METHODS section 1: a percentile bootstrap covers 84 / 90 / 92 / 93 % at 5 / 10 / 16 / 20."""
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


def mean_until(horizon: float, runs: int, rng: np.random.Generator) -> Found:
    """Exponential times of mean 1, watched for 0.5 to 4; up to the horizon, or to the last run if that ended before."""
    life, end = rng.exponential(size=runs), rng.uniform(0.5, 4, runs)
    time, seen = np.minimum(life, end), life <= end
    horizon = min(horizon, float(time.max()))
    found = restricted_mean(time, seen, horizon)
    return Found(found.low, found.high, 1 - math.exp(-horizon))


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
    plan = Plan("simulated", (ALPHA,), 16, seeds, "tpe" if tpe else "random", int(rng.integers(2**31)), "none")
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


# --- all of it ---


def of_seeds() -> list[Case]:
    """What tables and figures show."""
    found = []
    for seeds, level in itertools.product((5, 10, 20), (0.95, ONE_OF_SIXTEEN)):
        found += [Case("student", d, seeds, level, partial(mean_of_seeds, d, seeds, level)) for d in SCORES]
        found += [Case("paired", d, seeds, level, partial(difference_of_arms, d, seeds, level)) for d in ARMS]
    return found


def of_models() -> list[Case]:
    """What judges use beside Student's: skewed means, arms compared run by run, doses, censored times."""
    found = [
        Case("studentised", data, seeds, level, partial(bootstrap_t_of_seeds, data, seeds, level))
        for seeds, level in ((5, 0.95), (10, 0.95), (20, 0.95), (20, ONE_OF_SIXTEEN))
        for data in SCORES
    ]
    found += [
        Case("probability of improvement", f"normal, {by:g} sd apart", n, 0.95, partial(better_of, by, n))
        for n, by in itertools.product((10, 32), (0.0, 1.0, 3.0))
    ]
    for slope in (1.0, 2.0, 20.0):
        found.append(Case("d50", f"slope {slope:g} per dose", 32, 0.95, partial(dose_of_even_odds, slope, 32)))
    for slope, spread in ((2.0, 0.0), (2.0, 1.0)):
        data, draw = f"slope {slope:g} per dose, sd {spread:g} of seeds", partial(shift_of_d50, slope, spread, 32)
        found.append(Case("shift of d50 over seeds", data, 32, 0.95, draw))
    for seeds, end in itertools.product((12, 32), (math.inf, 800.0)):
        data = "all times seen" if end == math.inf else "two in ten runs cut off"
        found.append(Case("difference of exponents", data, seeds, 0.95, partial(exponents, end, seeds)))
    found += [Case("restricted mean", "exponential times", n, 0.95, partial(mean_until, 1.5, n)) for n in (16, 32)]
    return found


def of_prompts() -> list[Case]:
    """What is measured at places of responses."""
    found = [
        Case("percentile bootstrap", "mean of a normal", units, 0.95, partial(bootstrap_of_a_mean, units))
        for units in (5, 10, 16, 20, 40)
    ]
    for prompts, name in itertools.product((20, 64, 256), STATISTICS):
        found.append(Case("jackknife", name, prompts, 0.95, partial(jackknifed, name, prompts)))
        if prompts < 256:
            found.append(Case("percentile bootstrap", name, prompts, 0.95, partial(bootstrapped, name, prompts)))
    return found


def of_updates() -> list[Case]:
    """What probes say of gradients and of one update."""
    found = []
    for tail, (prompts, scale) in itertools.product((0.0, 0.4, 0.7), ((16, 20.0), (64, 20.0), (64, 200.0))):
        data, draw = f"{scale:.0f} responses, sd of log size {tail}", partial(scale_of_noise, tail, scale, prompts)
        found.append(Case("noise scale", data, prompts, 0.95, draw))
    for success, step in itertools.product((0.4, 0.05), (0.03, 0.3)):
        data, draw = f"J = {success}, odds up by {step:.0%}", partial(change_of_j, success, step, 512)
        found.append(Case("paired change of J", data, 512, 0.95, draw))
    return found


def of_sweeps() -> list[Case]:
    """Recommended alphas."""
    blind = [Case("recommended alpha", "blind draws", n, 0.95, partial(recommended, False, n)) for n in (6, 10, 20)]
    return [*blind, Case("recommended alpha", "proposed by TPE", 10, 0.95, partial(recommended, True, 10))]


def cases() -> list[Case]:
    """Every interval the project shows, on several kinds of data."""
    return [*of_seeds(), *of_prompts(), *of_updates(), *of_sweeps(), *of_models()]


def count(case: Case, repetitions: int, rng: np.random.Generator) -> dict[str, object]:
    """A row of the table; `found` is among the intervals given, its error that of a share."""
    drawn = np.array([case.draw(rng) for _ in range(repetitions)])
    low, high, truth = drawn[~np.isnan(drawn[:, 0])].T
    given = len(low)
    share = float(np.mean((low <= truth) & (truth <= high)))
    return {
        "interval": case.interval, "data": case.data, "units": case.units, "stated": round(case.stated, 5),
        "repetitions": len(drawn), "given": given, "found": round(share, 4),
        "found_error": round(math.sqrt(share * (1 - share) / given), 4),
        "above": round(float(np.mean(low > truth)), 4), "below": round(float(np.mean(high < truth)), 4),
        "median_width": float(f"{np.median(high - low):.4g}"),
    }  # fmt: skip


def main() -> int:
    """Simulate, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="intervals whose name begins so")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    rows, began = [], time.monotonic()
    for number, case in enumerate(cases()):
        if case.interval.startswith(words.only):
            row = count(case, words.repetitions, np.random.default_rng([words.seed, number]))
            rows.append(row | {"seed": words.seed})
            said = f"{row['interval']}, {row['data']}, {row['units']}: {row['found']} of {row['stated']}"
            print(f"{said} +- {row['found_error']}, given {row['given']}, {time.monotonic() - began:.0f} s", flush=True)
    if words.out:
        write_table(rows, words.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
