"""Decisions to expect from a study of a planned size, given the spread of a pilot."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from analysis.verdict.decisions import CORRECTED, Verdict

DRAWS = 20_000

OUTCOMES: tuple[str, ...] = ("supported", "refuted_opposite", "refuted_negligible", "undecided")


class Power(NamedTuple):
    """Probabilities of the decisions, each in [0, 1]; they add up to 1."""

    supported: float
    refuted_opposite: float
    refuted_negligible: float
    undecided: float


def spread_of(row: Verdict) -> float:
    """Standard deviation of one replicate's theta, from a primary row's Student interval at the corrected level; nan without.

    half width = t sd / sqrt(S), so sd = half width sqrt(S) / t, t the quantile of S - 1 degrees of freedom.
    """
    if row.seeds < 2 or not np.isfinite([row.low, row.high]).all():
        return float("nan")
    return float((row.high - row.low) / 2 * np.sqrt(row.seeds) / stdtrit(row.seeds - 1, (1 + CORRECTED) / 2))


def power(theta: float, spread: float, replicates: int, threshold: float, equivalence: bool = False) -> Power:
    """How often each decision falls on theta, by the decision rule on Student's interval (METHODS.md, section 1).

    Estimates are normal around theta with standard error spread / sqrt(S), their estimated spread is chi with S - 1 degrees of
    freedom; 20,000 draws from a fixed seed, so probabilities are right to about 0.007. Parts of a judge beyond its interval (a
    second stratum, a gate, a floor) are not simulated here.

    Args:
        theta: true effect, signed so that the prediction is positive.
        spread: standard deviation of one replicate's theta.
        replicates: S >= 2.
        threshold: delta > 0, in theta's unit.
        equivalence: the prediction is that theta lies within (-delta, delta).
    """
    rng = np.random.default_rng(0)
    error = spread / np.sqrt(replicates)
    estimate = theta + error * rng.standard_normal(DRAWS)
    half = (
        stdtrit(replicates - 1, (1 + CORRECTED) / 2)
        * error
        * np.sqrt(rng.chisquare(replicates - 1, DRAWS) / (replicates - 1))
    )
    above, below = estimate - half > threshold, estimate + half < -threshold
    inside = (estimate - half > -threshold) & (estimate + half < threshold)
    supported, opposite, negligible = (
        (inside, above | below, np.zeros_like(inside)) if equivalence else (above, below, inside)
    )
    shares = [float(part.mean()) for part in (supported, opposite, negligible)]
    return Power(shares[0], shares[1], shares[2], 1 - sum(shares))


def table_row(row: Verdict, replicates: int, equivalence: bool, floor: float) -> Mapping[str, object]:
    """One line of power.csv: the pilot's estimate and spread, and decisions at theta = pilot, 0, delta and 2 delta.

    Args:
        row: the pilot's primary row.
        replicates: planned at preset full.
        equivalence: as the question declares.
        floor: the question's least activity.
    """
    spread = spread_of(row)
    places = {"pilot": row.effect, "0": 0.0, "delta": row.threshold, "2 delta": 2 * row.threshold}
    known = np.isfinite(spread) and spread > 0
    found = (
        {at: power(theta, spread, replicates, row.threshold, equivalence) for at, theta in places.items()}
        if known
        else {}
    )
    return {
        "question": row.question, "level": row.level, "tokens": row.mean_length, "decisions": row.mean_decisions,
        "activity": row.activity, "floor": floor, "pilot_decision": row.decision, "unit": row.unit,
        "threshold": row.threshold, "pilot": row.effect, "pilot_replicates": row.seeds, "spread": spread,
        "planned_replicates": replicates,
        **{f"{outcome} at {at}": getattr(chances, outcome) for at, chances in found.items() for outcome in OUTCOMES},
    }  # fmt: skip
