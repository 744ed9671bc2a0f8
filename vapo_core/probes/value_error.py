"""How wrong is the critic, where, and against what it could know? Truth is exact in the walk, Monte-Carlo on text."""

import numpy as np

from vapo_core.oracles.truth import Truth, position_variance, squared_error, value_variance
from vapo_core.probes.base import CannotRun, Measurement, View

RESPONSES = 128
"""Held-out and training problems answered once each."""

LEAST_VARIANCE = 1e-4
"""Below this Var(V) there is nothing to explain, and a fraction of it means nothing."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"value_error/{name}_{split}": (unit, f"{meaning}, {split.replace('_', '-')} problems")
        for split in ("held_out", "train")
        for name, unit, meaning in (
            ("fvu", "share of Var(V)", "critic's squared error to true V, noise taken out"),
            ("fvu_position", "share of Var(V)", "what the best position-only critic leaves unexplained"),
            ("bias", "reward", "mean of V_hat - V"),
            ("var_v", "reward^2", "variance of true V over places"),
        )
    },
    **{
        f"value_error/fvu_q{q}": ("share of Var(V)", f"critic's squared error in quarter {q} of held-out responses")
        for q in range(1, 5)
    },
}


def measure(view: View) -> Measurement:
    """Fraction of Var(V) left unexplained (FVU), its bias, by quarter of the response, held-out and training problems.

    FVU(z) = E[(V_hat - V)^2 | z] / Var(V), both debiased for continuation noise; Var(V) over all places of the split, so
    quarters add up. The best constant has FVU 1.
    """
    if not view.recipe.credit.needs_critic:
        raise CannotRun("value_error: this recipe has no critic")
    metrics: dict[str, float] = {}
    arrays: list[tuple[str, Truth]] = []
    for number, (split, problems) in enumerate((("held_out", view.held_out), ("train", view.pool))):
        repeated = [problems[i % len(problems)] for i in range(RESPONSES)]
        rollout = view.world.engine.generate(repeated, 1, view.seed(0, number))
        truth = view.world.value_truth(repeated, rollout, view.seed(1, number), view.settings)
        metrics |= _of_split(split, truth)
        arrays.append((split, truth))
    if not metrics:
        raise CannotRun("value_error: Var(V) is too near 0 to explain any of it")
    return Measurement(metrics, _columns(arrays))


def _of_split(split: str, truth: Truth) -> dict[str, float]:
    variance = value_variance(truth)
    if variance < LEAST_VARIANCE:
        return {}
    found = {
        f"value_error/fvu_{split}": squared_error(truth) / variance,
        f"value_error/bias_{split}": float(np.mean(truth.critic - truth.value)),
        f"value_error/fvu_position_{split}": position_variance(truth) / variance,
        f"value_error/var_v_{split}": variance,
    }
    if split == "held_out":
        for quarter in range(4):
            part = truth.where(truth.quarter == quarter)
            if len(part.value):
                found[f"value_error/fvu_q{quarter + 1}"] = squared_error(part) / variance
    return found


def _columns(found: list[tuple[str, Truth]]) -> dict[str, np.ndarray]:
    names = [name for name in Truth._fields if name != "row"]
    columns = {name: np.concatenate([getattr(truth, name) for _, truth in found]) for name in names}
    held_out = np.concatenate([np.full(len(t.value), float(s == "held_out")) for s, t in found])
    return {"held_out": held_out, **columns}
