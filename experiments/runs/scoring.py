"""What a run's points come to: its score and what its components had to do."""

import numpy as np

from experiments.specs.spec import SCORES, RunSpec
from vapo_core.settings import COMPONENTS


def score(spec: RunSpec, points: list[tuple[int, dict[str, float]]], state: str) -> dict[str, float]:
    """First, last and normalised area under the evaluation curve over RL steps; 0 from a divergence on."""
    name = SCORES[spec.world]
    curve = [(step, metrics[name]) for step, metrics in points if name in metrics]
    if state == "diverged":
        fall = max((step for step, _ in points), default=0)
        curve += [(min(fall + 1, spec.steps), 0.0), (spec.steps, 0.0)]
    if not curve:
        return {"first": 0.0, "last": 0.0, "auc": 0.0}
    steps, values = np.array(curve).T
    return {"first": values[0], "last": values[-1], "auc": float(np.trapezoid(values, steps) / spec.steps)}


def activities(points: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """One activity per component: the mean over logged points, for value_pretraining the first."""
    named = {f"activity_{name}": mean(points, f"activity/{name}") for name in COMPONENTS}
    first = next(
        (m["activity/value_pretraining"] for _, m in points if "activity/value_pretraining" in m), float("nan")
    )
    return {**named, "activity_value_pretraining": first}


def mean(points: list[tuple[int, dict[str, float]]], name: str) -> float:
    """Mean of a metric over the points that have it, nan where none has."""
    values = [metrics[name] for _, metrics in points if name in metrics]
    return float(np.mean(values)) if values else float("nan")
