"""The table of effects on planted, paired effects and on a table small enough to do by hand."""

import io

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from analysis.ablations.effects import ablation_table, smallest_effect
from analysis.tables import paper
from analysis.tables.arms import in_order, parse, references, short
from analysis.tables.schema import COMPONENTS
from analysis.tables.terminal import effects_table


def test_planted_effects_are_found(synthetic, planted):
    """Noise between seeds is ten times that between arms; only pairing finds the effects to within 0.02."""
    runs = synthetic(12).runs
    table = ablation_table(runs, "vapo").set_index("arm")
    for arm, effect in planted.items():
        row = table.loc[arm]
        assert abs(row["last_diff"] - effect * (1 - np.exp(-4))) < 0.01
        assert row["last_diff_low"] < row["last_diff"] < row["last_diff_high"] < 0
        assert row["last_diff_high"] - row["last_diff_low"] < 0.3 * (row["last_high"] - row["last_low"])


def test_differences_by_hand(synthetic):
    """Arm 0.5, 0.6, 0.9 against 0.4, 0.7, 0.5: differences 0.1, -0.1, 0.4, mean 0.1333, sd 0.2517."""
    runs = synthetic(3, ("vapo", "ppo")).runs
    runs.loc[runs["arm"] == "vapo", ["auc", "last", "tokens"]] = [[0.4, 0.1, 10], [0.7, 0.1, 10], [0.5, 0.1, 20]]
    runs.loc[runs["arm"] == "ppo", ["auc", "last", "tokens"]] = [[0.5, 0.3, 10], [0.6, 0.3, 10], [0.9, 0.3, 40]]
    row = ablation_table(runs, "vapo").set_index("arm").loc["ppo"]
    half = stats.t.ppf(0.975, 2) * 0.2516611 / np.sqrt(3)
    assert row["auc_diff"] == pytest.approx(0.1333333)
    assert row["auc_diff_sd"] == pytest.approx(0.2516611)
    assert (row["auc_diff_low"], row["auc_diff_high"]) == pytest.approx((0.1333333 - half, 0.1333333 + half))
    assert row["last_diff"] == pytest.approx(0.2)
    assert row["auc"] == pytest.approx(2 / 3)
    assert row["tokens_ratio"] == pytest.approx(60 / 40)


def test_pairs_go_by_seed_not_by_row(synthetic):
    runs = synthetic(6).runs
    shuffled = runs.sample(frac=1, random_state=1)
    a, b = ablation_table(runs, "vapo"), ablation_table(shuffled, "vapo")
    assert np.allclose(a["auc_diff_high"][1:], b["auc_diff_high"][1:], rtol=1e-12)


def test_unpaired_seeds_are_dropped(synthetic):
    """Seeds 0 and 5 of one arm have no partner: 4 pairs of 6, and the difference is that of the other 4."""
    runs = synthetic(6, ("vapo", "ppo")).runs
    runs.loc[(runs["arm"] == "ppo") & (runs["seed"] == 0), "seed"] = 99
    kept = runs[~((runs["arm"] == "vapo") & (runs["seed"] == 5))]
    row = ablation_table(kept, "vapo").set_index("arm").loc["ppo"]
    inner = kept[kept["seed"].between(1, 4)]
    assert (row["seeds"], row["pairs"]) == (6, 4)
    assert row["auc_diff"] == pytest.approx(ablation_table(inner, "vapo")["auc_diff"].iloc[1])


def test_one_pair_has_no_interval(synthetic):
    row = ablation_table(synthetic(1, ("vapo", "ppo")).runs, "vapo").iloc[1]
    assert np.isfinite(row["auc_diff"])
    assert np.isnan([row["auc_diff_low"], row["auc_diff_high"], row["auc_diff_sd"]]).all()


def test_activity_is_the_references_for_a_removal_and_the_arms_own_for_an_addition(synthetic):
    runs = synthetic(2, ("vapo", "ppo", "vapo without clip_higher", "ppo with clip_higher")).runs
    runs["activity_clip_higher"] = runs["arm"].map(
        {"vapo": 0.1, "ppo": 0.2, "vapo without clip_higher": 0.3, "ppo with clip_higher": 0.4}
    )
    removal = ablation_table(runs, "vapo").set_index("arm")
    addition = ablation_table(runs, "ppo").set_index("arm")
    assert removal.loc["vapo without clip_higher", "activity"] == pytest.approx(0.1)
    assert addition.loc["ppo with clip_higher", "activity"] == pytest.approx(0.4)
    assert "ppo with clip_higher" not in removal.index
    assert "vapo without clip_higher" not in addition.index


def test_order_and_paper(synthetic):
    arms = [f"vapo without {c}" for c in reversed(COMPONENTS)] + ["dapo", "grpo", "strange", "ppo", "vapo"]
    table = ablation_table(synthetic(2, arms).runs, "vapo")
    wanted = ["vapo", "ppo", "grpo", "dapo", *(f"vapo without {c}" for c in COMPONENTS), "strange"]
    assert list(table["arm"]) == wanted
    points = [np.nan, -55, -13, -10, -49, -27, -15, -7, -14, -6, -5, np.nan]
    assert np.array_equal(table["paper_diff"], points, equal_nan=True)


def test_the_papers_table():
    assert paper.difference("vapo", "ppo") == 55
    assert np.isnan(paper.difference("ppo with clip_higher", "ppo"))
    assert len(paper.TABLE_1) == 11


def test_arms():
    assert parse("vapo without clip_higher")[1:] == ("vapo", "removal", "clip_higher")
    assert parse("ppo with group_sampling")[1:] == ("ppo", "addition", "group_sampling")
    assert parse("vapo without clipping").change == "other"
    assert short("vapo without clip_higher") == "−\u00a0clip_higher"
    assert references(["ppo", "vapo", "ppo with clip_higher"]) == ["ppo"]
    assert references(["ppo", "vapo", "ppo with clip_higher", "vapo without clip_higher"]) == ["vapo", "ppo"]
    assert references(["ppo", "vapo"]) == ["vapo"]
    assert references(["strange"]) == []
    assert in_order(["vapo", "ppo"], "ppo") == ["ppo", "vapo"]


@pytest.mark.parametrize(("column", "words"), [("world", "differ in world"), ("steps", "differ in steps")])
def test_runs_that_may_not_be_compared(synthetic, column, words):
    runs = synthetic(2).runs
    runs.loc[0, column] = "lm" if column == "world" else 7
    with pytest.raises(ValueError, match=words):
        ablation_table(runs, "vapo")


def test_missing_reference_and_double_seed(synthetic):
    runs = synthetic(2).runs
    with pytest.raises(ValueError, match="no run of the reference"):
        ablation_table(runs[runs["arm"] != "vapo"], "vapo")
    runs.loc[0, "seed"] = 1
    with pytest.raises(ValueError, match="two runs with seed 1"):
        ablation_table(runs, "vapo")


def test_smallest_effect(synthetic):
    """Ten pairs: 1.2 times the median sd of the differences."""
    table = ablation_table(synthetic(10).runs, "vapo")
    assert smallest_effect(table) == (10, pytest.approx(1.2 * table["auc_diff_sd"].median()))
    pairs, size = smallest_effect(ablation_table(synthetic(4).runs, "vapo"))
    assert pairs == 4
    assert np.isnan(size)
    assert smallest_effect(ablation_table(synthetic(4, ("vapo",)).runs, "vapo"))[0] == 0


@pytest.mark.parametrize("width", [100, 120])
def test_terminal_table_fits_and_holds_the_numbers(synthetic, width):
    arms = ["vapo", "ppo", *(f"vapo without {c}" for c in COMPONENTS)]
    table = ablation_table(synthetic(12, arms).runs, "vapo")
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(effects_table(table, "val/exact_j", width))
    text = console.export_text()
    row = table.iloc[1]
    assert f"{row['auc_diff']:+.3f} [{row['auc_diff_low']:+.3f}, {row['auc_diff_high']:+.3f}]" in text
    assert "…" not in text
    assert "length_adaptive_gae" in text
    assert ("Δ last" in text) == (width >= 120)
