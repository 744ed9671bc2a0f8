"""Curves by hand, and figures whose files hold the numbers they show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis.ablations.effects import ablation_table
from analysis.ablations.figures import component_curves, effects_forest, learning_curves
from analysis.plots.drawing import save, svg
from analysis.tables.curves import Points, bands, read_off
from analysis.tables.schema import Tables

METRIC = "val/exact_j"


def tiny(states=("finished", "finished"), points=({0: 0.2, 10: 0.4, 20: 0.6}, {0: 0.4, 10: 0.6, 20: 1.0})) -> Tables:
    runs = pd.DataFrame({"spec": list("ab"), "arm": "vapo", "state": states})
    rows = [(s, t, METRIC, v) for s, p in zip("ab", points, strict=True) for t, v in p.items()]
    rows += [(s, t, "tokens/generated", 50.0 + 10 * t * (1 + (s == "b"))) for s in "ab" for t in (0, 20)]
    return Tables(runs, pd.DataFrame(rows, columns=["spec", "step", "metric", "value"]))


def test_bands_by_hand():
    """Means 0.3, 0.5, 0.8; half width t(0.975, 1) * |difference| / 2; tokens 50 + 15 per step."""
    got = bands(tiny(), METRIC, ["vapo"])
    assert got["mean"].to_list() == pytest.approx([0.3, 0.5, 0.8])
    assert (got["high"] - got["mean"]).to_list() == pytest.approx([1.270620, 1.270620, 2.541241], rel=1e-5)
    assert got["tokens"].to_list() == pytest.approx([50, 200, 350])
    assert got["seeds"].to_list() == [2, 2, 2]


def test_a_diverged_run_counts_zero_afterwards():
    got = bands(tiny(("finished", "diverged"), ({0: 0.2, 10: 0.4, 20: 0.6}, {0: 0.4, 10: 0.6})), METRIC, ["vapo"])
    assert got["mean"].to_list() == pytest.approx([0.3, 0.5, 0.3])


def test_an_unfinished_curve_is_left_out_not_counted_zero():
    got = bands(tiny(points=({0: 0.2, 10: 0.4, 20: 0.6}, {0: 0.4, 10: 0.6})), METRIC, ["vapo"])
    assert got["mean"].to_list() == pytest.approx([0.3, 0.5, 0.6])
    assert got["seeds"].to_list() == [2, 2, 1]


def test_points_between_are_read_off_linearly():
    got = bands(tiny(points=({0: 0.2, 20: 0.6}, {0: 0.4, 10: np.nan, 15: 0.7, 20: 1.0})), METRIC, ["vapo"])
    assert got["step"].to_list() == [0, 15, 20]
    assert got["mean"].to_list() == pytest.approx([0.3, 0.6, 0.8])


def test_read_off_outside():
    points = Points(np.array([10.0, 20.0]), np.array([0.5, 0.7]))
    grid = np.array([0.0, 15.0, 30.0])
    assert read_off(points, grid, False) == pytest.approx([np.nan, 0.6, np.nan], nan_ok=True)
    assert read_off(points, grid, True) == pytest.approx([np.nan, 0.6, 0.0], nan_ok=True)


def test_all_diverged_arm_reaches_to_the_end(synthetic):
    """Every run of an arm stops at step 40: its curve drops to 0 at the others' next step and stays there."""
    tables = synthetic(3, ("vapo", "ppo"))
    gone = tables.runs.loc[tables.runs["arm"] == "ppo", "spec"]
    tables.runs.loc[gone.index, "state"] = "diverged"
    curves = tables.curves[~(tables.curves["spec"].isin(gone) & (tables.curves["step"] > 40))]
    got = bands(Tables(tables.runs, curves), METRIC, ["vapo", "ppo"]).query("arm == 'ppo'")
    assert got["step"].to_list() == [0, 20, 40, 60, 80, 100]
    assert (got["mean"] > 0).to_list() == [True, True, True, False, False, False]


def test_files_hold_exactly_what_is_drawn(synthetic, tmp_path):
    tables = synthetic(5)
    table = ablation_table(tables.runs, "vapo")
    curves = bands(tables, METRIC, list(table["arm"]))
    forest = effects_forest(table, "vapo")
    for name, drawing in (
        ("curves", learning_curves(curves, "vapo", METRIC)),
        ("components", component_curves(curves, "vapo", METRIC)),
        ("forest", forest),
    ):
        saved = save(drawing, tmp_path / "figures", name)
        assert saved.png.read_bytes().startswith(b"\x89PNG")
        assert b"</svg>" in saved.svg.read_bytes()
    read = pd.read_csv(tmp_path / "figures" / "forest.csv")
    drawn = [container for axes in forest.figure.axes for container in axes.containers]
    assert read["auc_diff"].to_list() == pytest.approx(table["auc_diff"][1:].to_list())
    assert drawn[0].lines[0].get_xdata() == pytest.approx(read["auc_diff"].to_numpy())
    bars = np.array([segment[:, 0] for segment in drawn[0].lines[2][0].get_segments()])
    assert bars == pytest.approx(read[["auc_diff_low", "auc_diff_high"]].to_numpy())
    assert forest.figure.axes[1].lines[0].get_xdata() == pytest.approx([-55, -13, -10, -14])
    read = pd.read_csv(tmp_path / "figures" / "curves.csv")
    wanted = curves[curves["arm"].isin(["vapo", "ppo", "grpo", "dapo"])]
    assert read[["mean", "low", "high"]].to_numpy() == pytest.approx(wanted[["mean", "low", "high"]].to_numpy())
    assert set(pd.read_csv(tmp_path / "figures" / "components.csv")["arm"]) == {"vapo", "vapo without clip_higher"}
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".png", ".svg", ".csv"}
    assert not plt.get_fignums()


def test_lines_are_the_means(synthetic):
    tables = synthetic(3, ("vapo", "ppo"))
    curves = bands(tables, METRIC, ["vapo", "ppo"])
    left, right = learning_curves(curves, "vapo", METRIC).figure.axes
    own = curves[curves["arm"] == "ppo"]
    line = next(line for line in left.lines if line.get_label() == "ppo")
    assert line.get_ydata() == pytest.approx(own["mean"].to_numpy())
    assert right.lines[1].get_xdata() == pytest.approx(own["tokens"].to_numpy())
    assert "step" in left.get_xlabel()
    assert "tokens" in right.get_xlabel()


def test_same_picture_same_bytes(synthetic):
    table = ablation_table(synthetic(3).runs, "vapo")
    assert svg(effects_forest(table, "vapo")) == svg(effects_forest(table, "vapo"))


def test_one_pair_has_a_dot_and_no_bar(synthetic):
    forest = effects_forest(ablation_table(synthetic(1, ("vapo", "ppo")).runs, "vapo"), "vapo")
    container = forest.figure.axes[0].containers[0]
    assert len(container.lines[0].get_xdata()) == 1
    assert not any(np.isfinite(segment).any() for segment in container.lines[2][0].get_segments())
