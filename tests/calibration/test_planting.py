"""Planted tables are tables: they pass the checks of read ones and hold what was planted."""

import numpy as np
import pytest

from analysis.ablations.effects import ablation_table
from analysis.tables.schema import check
from experiments.specs.spec import spec_for
from tests.calibration.planting import base_effects, by_run, frame, frame_of, plant, row, tables


def test_values_land_in_their_rows():
    runs = frame({"seed": s, "clip_higher": on} for s in range(1000, 1003) for on in (True, False))
    found = check(
        tables(runs, {"auc": np.arange(6) / 10}, {"a": {0: 0.0, 30: np.arange(6)}, "b": {3: [1, np.nan] * 3}})
    )
    assert found.runs["auc"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert set(found.runs["arm"]) == {"vapo", "vapo without clip_higher"}
    wide = found.curves.pivot(index="spec", columns=["metric", "step"], values="value").loc[runs["spec"]]
    assert wide[("a", 30)].tolist() == list(range(6))
    assert wide[("a", 0)].tolist() == [0.0] * 6
    assert wide[("b", 3)].isna().tolist() == [False, True] * 3
    assert "auc" in runs
    assert (runs["auc"] == 0.5).all(), "the frame is shared by all simulations and must stay as it was"


def test_rows_have_the_columns_of_runs():
    runs = frame([{"world": "lm", "recipe": "grpo", "settings.alpha": 0.2}, {"world": "walk", "recipe": "ppo"}])
    assert runs["arm"].tolist() == ["grpo", "ppo"]
    assert runs["settings.alpha"].tolist()[0] == 0.2
    assert not runs["positive_lm_loss"].any()
    specs = [spec_for("vapo", "walk", seed) for seed in (0, 1)]
    assert frame_of(specs)["spec"].tolist() == [spec.hash for spec in specs]
    assert set(frame_of(specs)) == set(row()) | {"spec"}


def test_rows_with_curves():
    found = check(plant([{"seed": 0, "curves": {"x": 1.0, "y": {0: 2.0, 9: 3.0}}}, {"seed": 1}, {"world": "exact"}]))
    assert found.curves[["step", "metric", "value"]].values.tolist() == [[30, "x", 1.0], [0, "y", 2.0], [9, "y", 3.0]]
    assert len(found.runs) == 3


def test_without_metrics_curves_are_empty_and_typed():
    found = tables(frame([{}]))
    assert len(found.curves) == 0
    assert found.curves["value"].dtype == float


def test_an_effect_planted_is_the_effect_found():
    runs = frame({"seed": s, "clip_higher": on} for s in range(8) for on in (True, False))
    auc = np.where(runs["clip_higher"], 0.6, 0.5) + 0.01 * runs["seed"]
    found = ablation_table(tables(runs, {"auc": auc}).runs, "vapo").set_index("arm")
    assert found.loc["vapo without clip_higher", "auc_diff"] == pytest.approx(-0.1)


def test_runs_of_a_base_share_its_effect_and_bases_differ_by_the_stated_spread():
    """Two arms of 40 seeds: a draw per base; on three bases shared by the seeds there are three draws, not 40."""
    cells = [(s, on) for s in range(40) for on in (True, False)]
    runs = frame([{"world": "lm", "seed": s, "base": f"tiny:{s}", "clip_higher": on} for s, on in cells])
    found = base_effects(np.random.default_rng(0), runs, 0.05).reshape(40, 2)
    assert (found[:, 0] == found[:, 1]).all()
    assert len(np.unique(found)) == 40
    assert found[:, 0].std(ddof=1) == pytest.approx(0.05, rel=0.35)
    nested = base_effects(np.random.default_rng(0), runs.assign(base=[f"tiny:{s % 3}" for s in runs["seed"]]), 0.05)
    assert len(np.unique(nested)) == 3


def test_a_value_per_seed_reaches_all_its_runs():
    assert by_run(np.array([0.5, 0.7]), [1003, 1001, 1003]).tolist() == [0.7, 0.5, 0.7]
