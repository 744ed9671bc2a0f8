"""Valid tables from a few numbers, fast: what simulators of judges write their planted values into.

    RUNS = frame([{"seed": s, "arm": a} for s in range(1000, 1032) for a in ("vapo", "grpo")])   # once, at import
    tables(RUNS, {"auc": scores}, {"value_error/fvu_held_out": {0: before, 30: after}})          # per simulation

Rows are described as finished runs are (`experiments.runs.run.describe`), so that columns of toggles, settings and dials are
those of the world and recipe.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.tables.schema import COMPONENTS, RUN_NUMBERS, RUN_TEXT, Tables, check
from experiments.runs.run import describe
from experiments.specs.spec import arm_label, spec_for
from vapo_core.settings import Toggles

OUTCOME: dict[str, Any] = {
    "state": "finished", "reason": "", "first": 0.1, "last": 0.5, "auc": 0.5, "first_success_step": 0.0,
    "entropy_half_life": float("nan"), "mean_length": 30.0, "tokens": 1e5, "warm_tokens": 0.0, "seconds": 1.0,
    "attempts": 1, "git_commit": "planted", **{f"activity_{name}": 1.0 for name in COMPONENTS},
}  # fmt: skip
"""What a run measured, where nothing is said."""


@cache
def _described(world: str, recipe: str) -> dict[str, Any]:
    if world == "exact":  # rows of instances: no recipe, no steps
        blank = dict.fromkeys(RUN_TEXT, "") | dict.fromkeys(RUN_NUMBERS, 0) | dict.fromkeys(COMPONENTS, False)
        return {**blank, **OUTCOME, "world": world, "recipe": recipe}
    return {**describe(spec_for(recipe, world, 0), "planted"), **OUTCOME}


def row(**given: Any) -> dict[str, Any]:
    """One run: by default vapo on the walk, seed 0; `given` overrides or adds columns; the arm follows the toggles."""
    found = {**_described(given.get("world", "walk"), given.get("recipe", "vapo")), **given}
    if "arm" not in given and found["world"] != "exact":
        found["arm"] = arm_label(found["recipe"], Toggles(**{name: bool(found[name]) for name in COMPONENTS}))
    return found


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """runs.csv of rows as `row` takes them, `spec` a running number where not given. Make it once, at import."""
    return _checked(pd.DataFrame([row(**{"spec": f"{n:016x}", **given}) for n, given in enumerate(rows)]))


def frame_of(specs: Sequence[Any], study: str = "planted") -> pd.DataFrame:
    """runs.csv of a study's own specs, as `experiments.runs.run.describe` names their columns."""
    return _checked(pd.DataFrame([{**describe(spec, study), **OUTCOME} for spec in specs]))


def _checked(runs: pd.DataFrame) -> pd.DataFrame:
    return check(Tables(runs, pd.DataFrame(columns=["spec", "step", "metric", "value"]))).runs.copy()  # in one piece


def tables(
    runs: pd.DataFrame,
    columns: Mapping[str, ArrayLike] | None = None,
    metrics: Mapping[str, Mapping[int, ArrayLike]] | None = None,
    probes: pd.DataFrame | None = None,
) -> Tables:
    """Tables with planted values.

    Args:
        runs: [N] rows, of `frame`.
        columns: columns of runs.csv set or added, each [N] or a number.
        metrics: metric -> RL step -> [N] values or a number; nan where a run has none (runs drop what is not finite).
        probes: rows of probes.parquet.
    """
    planted = runs.assign(**(columns or {}))
    points = [(name, step, value) for name, curve in (metrics or {}).items() for step, value in curve.items()]
    names = list(dict.fromkeys(name for name, *_ in points))
    count, many = len(runs), len(points)
    curves = pd.DataFrame(
        {
            "spec": pd.Categorical.from_codes(np.tile(np.arange(count), many), runs["spec"].tolist()),
            "step": np.repeat(np.array([step for _, step, _ in points], dtype="int64"), count),
            "metric": pd.Categorical.from_codes(np.repeat([names.index(name) for name, *_ in points], count), names),
            "value": np.concatenate([np.broadcast_to(np.asarray(v, float), count) for *_, v in points] or [[]]),
        }
    )
    curves = curves[np.isfinite(curves["value"].to_numpy())]
    return Tables(planted, curves, **({} if probes is None else {"probes": probes}))


def by_run(values: np.ndarray, seeds: ArrayLike) -> np.ndarray:
    """[N] one value per distinct seed, for every run of that seed."""
    return values[np.unique(np.asarray(seeds), return_inverse=True)[1]]


def base_effects(rng: np.random.Generator, runs: pd.DataFrame, sd: float) -> np.ndarray:
    """[N] a random effect of every run's base model: normal, mean 0, standard deviation `sd`, one draw per base.

    Runs on one base share the draw, whatever their arm, task or seed; it belongs into every simulation of a text judge.
    """
    bases = runs["base"].to_numpy(str)
    return by_run(rng.normal(0.0, sd, len(np.unique(bases))), bases)


def plant(rows: Iterable[Mapping[str, Any]]) -> Tables:
    """Tables of rows that carry their curves: `curves` = metric -> value at the last step, or {step: value}."""
    rows = list(rows)
    runs = frame({k: v for k, v in given.items() if k != "curves"} for given in rows)
    long = [
        (spec, step, metric, value)
        for spec, steps, given in zip(runs["spec"], runs["steps"], rows, strict=True)
        for metric, curve in given.get("curves", {}).items()
        for step, value in (curve if isinstance(curve, Mapping) else {int(steps): curve}).items()
    ]
    curves = pd.DataFrame(long, columns=["spec", "step", "metric", "value"])
    return Tables(runs, curves.astype({"spec": "category", "step": "int64", "metric": "category", "value": float}))
