"""Paper tables: numbers by hand, counts, two designs in one table, and what may not be mixed."""

import numpy as np
import pandas as pd
import pytest

from analysis.ablations.joined import Ablation, joined_effects, sheets


def _runs(scores: dict[str, list[float]], **columns) -> pd.DataFrame:
    """A table of runs: an arm's scores for seeds 0, 1, ..., nan where a seed was not run."""
    from tests.analysis.conftest import make

    template = make(seeds=1, arms=("vapo",)).runs.iloc[0]
    rows = [
        {**template, "spec": f"{arm}-{seed}", "arm": arm, "seed": seed, "auc": score, "last": score / 2, **columns}
        for arm, listed in scores.items()
        for seed, score in enumerate(listed)
        if not np.isnan(score)
    ]
    return pd.DataFrame(rows)


LEFT = {"vapo": [0.4, 0.5, 0.6], "vapo without clip_higher": [0.3, 0.5, 0.4], "ppo": [0.1, 0.1, 0.1]}
ADDED = {"ppo": [0.1, 0.1, 0.1], "ppo with clip_higher": [0.1, 0.3, np.nan]}


def test_effect_interval_and_count_by_hand():
    """Differences -0.1, 0, -0.2: mean -0.1, sd 0.1, t(2) = 4.3027, half width 4.3027 x 0.1 / sqrt 3 = 0.24841."""
    found = joined_effects([Ablation("x", _runs(LEFT), 4)]).set_index("arm").loc["vapo without clip_higher"]
    assert found["estimate"] == pytest.approx(-0.1)
    assert (found["low"], found["high"]) == (pytest.approx(-0.34841, abs=1e-5), pytest.approx(0.14841, abs=1e-5))
    assert (found["seeds"], found["planned"]) == (3, 4)
    last = joined_effects([Ablation("x", _runs(LEFT), 4)], "last").set_index("arm")
    assert last.loc["vapo without clip_higher", "estimate"] == pytest.approx(-0.05)


def test_two_designs_stand_side_by_side():
    effects = joined_effects([Ablation("a", _runs(LEFT), 3), Ablation("b", _runs(ADDED), 3)])
    (sheet,) = sheets(effects)
    assert sheet.heads == ("Component", "Δ removed from vapo [95%]", "seeds", "Δ added to ppo [95%]", "seeds")
    rows = {row[0]: row[1:] for row in sheet.rows}
    assert rows["clip_higher"][1::2] == ("3 of 3", "2 of 3")
    assert rows["clip_higher"][2].startswith("+0.100 [")
    assert rows["ppo"][2:] == ("–", "")  # recipes stand against the first reference alone
    assert "vapo" not in rows


def test_a_run_in_both_ablations_counts_once():
    twice = joined_effects([Ablation("a", _runs(LEFT), 3), Ablation("b", _runs(LEFT), 3)])
    pd.testing.assert_frame_equal(twice, joined_effects([Ablation("a", _runs(LEFT), 3)]))


def test_without_a_plan_the_seeds_of_the_table_count():
    effects = joined_effects([Ablation("b", _runs(ADDED), 0)])
    assert list(effects["planned"]) == [3]
    assert list(effects["seeds"]) == [2]


def test_one_arm_in_two_settings_is_refused():
    """Seeds apart, settings apart: a mean over both would be of neither."""
    other = _runs(LEFT, **{"settings.alpha": 0.25}).assign(
        seed=lambda t: t["seed"] + 10, spec=lambda t: t["spec"] + "x"
    )
    with pytest.raises(ValueError, match=r"was run with alpha = 1\.5, 0\.25"):
        joined_effects([Ablation("a", _runs(LEFT), 3), Ablation("b", other, 3)])


def test_tasks_are_blocks_of_their_own():
    other = _runs(LEFT, task="chain").assign(spec=lambda t: t["spec"] + "x")
    effects = joined_effects([Ablation("a", _runs(LEFT), 3), Ablation("b", other, 3)])
    assert [sheet.caption.split(":")[0] for sheet in sheets(effects)] == [
        "World walk, task walk, 100 RL steps", "World walk, task chain, 100 RL steps",
    ]  # fmt: skip


def test_no_recipe_is_no_reference():
    with pytest.raises(ValueError, match="reference"):
        joined_effects([Ablation("a", _runs({"mine": [0.1, 0.2]}), 2)])


def test_seeds_are_those_of_arm_and_reference_both():
    """The arm has three, its reference lost one: two can be paired."""
    short = {**LEFT, "vapo": [0.4, np.nan, 0.6]}
    found = joined_effects([Ablation("x", _runs(short), 3)]).set_index("arm").loc["vapo without clip_higher"]
    assert (found["seeds"], found["estimate"]) == (2, pytest.approx(-0.15))
