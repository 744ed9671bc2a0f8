"""How often do the oracle's intervals hold the truth? By simulation, with values and a critic whose error is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vapo_core.oracles.intervals import interval_of
from vapo_core.oracles.truth import Truth, squared_error, unexplained


class Planted(NamedTuple):
    """A study to simulate. V = 0.5 + prompt's part + place's part; the critic's error likewise has a part of its prompt."""

    prompts: int = 52
    places: int = 3
    """Per prompt."""
    continuations: int = 16
    error: float = 0.2
    """E[(V_hat - V)^2] / Var(V)."""
    shared: float = 0.5
    """Share of the variance, of V and of the error alike, that a prompt's places have in common."""
    low: float = 0.0
    """Reward of a wrong answer; a right one has 1."""


SPREAD = 0.15
"""Standard deviation of the chance of a right answer over places: uniform parts that keep it within [0, 1]."""

STATISTICS: dict[str, Callable[[Truth], float]] = {"squared_error": squared_error, "fvu": unexplained}
"""What the intervals are for."""


def coverage(planted: Planted, repetitions: int, seed: int, level: float = 0.95) -> dict[str, float]:
    """Share of simulated studies whose interval holds the true number, by statistic; its standard error is
    sqrt(level (1 - level) / repetitions).
    """
    rng = np.random.default_rng(seed)
    span = 1.0 - planted.low
    true = {"squared_error": planted.error * (span * SPREAD) ** 2, "fvu": planted.error}
    clusters = np.repeat(np.arange(planted.prompts), planted.places)
    held = dict.fromkeys(STATISTICS, 0)
    for _ in range(repetitions):
        truth = simulate(planted, rng)
        for name, statistic in STATISTICS.items():
            interval = interval_of(statistic, truth, clusters, level)
            held[name] += interval.low <= true[name] <= interval.high
    return {name: number / repetitions for name, number in held.items()}


def simulate(planted: Planted, rng: np.random.Generator) -> Truth:
    """Places of one study, in verifier units, prompt after prompt."""
    chance = 0.5 + SPREAD * _nested(planted, rng)
    v = planted.low + (1.0 - planted.low) * chance
    critic = v + (1.0 - planted.low) * SPREAD * np.sqrt(planted.error) * _nested(planted, rng)
    right = rng.random((len(v), planted.continuations)) < chance[:, None]
    returns = np.where(right, 1.0, planted.low)
    number = np.arange(len(v))
    noise = returns.var(axis=1, ddof=1) / planted.continuations
    return Truth(number, np.zeros_like(number), np.ones_like(number), critic, returns.mean(1), noise)


def _nested(planted: Planted, rng: np.random.Generator) -> np.ndarray:
    """[prompts * places] numbers of mean 0 and variance 1, a `shared` part of which a prompt's places have in common."""
    prompt = rng.uniform(-np.sqrt(3), np.sqrt(3), planted.prompts).repeat(planted.places)
    place = rng.uniform(-np.sqrt(3), np.sqrt(3), len(prompt))
    return np.sqrt(planted.shared) * prompt + np.sqrt(1 - planted.shared) * place
