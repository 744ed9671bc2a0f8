"""When a run first reached certain events, in RL steps from its curve; nan if it did not by its end (censored)."""

import math
from collections.abc import Sequence
from itertools import pairwise

Points = Sequence[tuple[int, dict[str, float]]]


def milestones(points: Points) -> dict[str, float]:
    """The columns of a row: `first_success_step` and `entropy_half_life`, both in RL steps."""
    return {"first_success_step": first_success(points), "entropy_half_life": half_life(points)}


def first_success(points: Points) -> float:
    """First logged RL step with a right answer, no guess, among the step's own responses; nan if there was none."""
    return next((float(step) for step, metrics in points if metrics.get("reward/reasoned", 0.0) > 0), math.nan)


def half_life(points: Points, name: str = "exploration/prefix_entropy") -> float:
    """RL step at which a metric has fallen to half of what it was at its first measurement, linear between measurements.

    Returns:
        nan if it never did, or was measured once or not at all.
    """
    curve = [(step, metrics[name]) for step, metrics in points if name in metrics]
    for (before, above), (step, value) in pairwise(curve):
        half = curve[0][1] / 2
        if value <= half < above:
            return before + (step - before) * (above - half) / (above - value)
    return math.nan
