"""Synthetic tables with planted, paired effects."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.tables.schema import ACTIVITY, COMPONENTS, Tables

PLANTED = {"ppo": -0.30, "grpo": -0.12, "dapo": -0.08, "vapo without clip_higher": -0.05}


def make(seeds=6, arms=("vapo", *PLANTED), steps=100, every=20, world="walk", seed=0) -> Tables:
    """Every arm's score is the reference's of the same seed plus its planted effect plus a little noise."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0.5, 0.05, seeds)
    metric = "val/exact_j" if world == "walk" else "val/pass_at_1"
    runs, curves = [], []
    for arm in arms:
        for i in range(seeds):
            last = shared[i] + PLANTED.get(arm, 0.0) + (rng.normal(0, 0.005) if arm != "vapo" else 0.0)
            spec = f"{world}-{arm}-{i}".replace(" ", "_")
            grid = np.arange(0, steps + 1, every)
            score = 0.1 + (last - 0.1) * (1 - np.exp(-grid / 25))
            auc = float(np.trapezoid(score, grid) / steps)
            runs.append(
                {"spec": spec, "study": "components", "world": world, "task": "walk", "recipe": arm.split()[0],
                 "arm": arm, "seed": i, "base": f"base{i % 3}",
                 "steps": steps, "protocol": 1, "state": "finished", "reason": "",
                 **dict.fromkeys(COMPONENTS, True), "settings.alpha": 1.5, "metric": metric, "first": score[0],
                 "last": score[-1], "auc": auc, **{f"activity_{c}": 0.25 for c in ACTIVITY}, "mean_length": 30.0 + i,
                 "tokens": 1000.0 * steps, "seconds": 90.0, "git_commit": "abc1234"}
            )  # fmt: skip
            curves += [(spec, int(t), metric, v) for t, v in zip(grid, score, strict=True)]
            curves += [(spec, int(t), "tokens/generated", 1000.0 * t) for t in grid]
    return Tables(pd.DataFrame(runs), pd.DataFrame(curves, columns=["spec", "step", "metric", "value"]))


@pytest.fixture
def synthetic() -> Callable[..., Tables]:
    return make


@pytest.fixture
def planted() -> dict[str, float]:
    """Arm -> planted difference to the reference in the last score, before the curve's own factor."""
    return PLANTED


@pytest.fixture
def folder(tmp_path) -> Callable[..., object]:
    """Write tables as a folder and return it."""

    def write(tables: Tables, name: str = "tables"):
        home = tmp_path / name
        home.mkdir()
        tables.runs.to_csv(home / "runs.csv", index=False)
        tables.curves.to_parquet(home / "curves.parquet")
        return home

    return write
