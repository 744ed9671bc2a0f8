"""Two ablations seed by seed: planted differences of both signs and none, by hand, and what cannot be paired."""

import numpy as np
import pytest

from analysis.ablations.compared import compared, compared_sheet
from analysis.ablations.joined import Ablation
from tests.analysis.ablations.test_joined import _runs

A = {"vapo": [0.4, 0.5, 0.6], "vapo without clip_higher": [0.3, 0.5, 0.4], "grpo": [0.2, 0.2, 0.2]}
B = {"vapo": [0.5, 0.6, 0.7], "vapo without clip_higher": [0.3, 0.4, 0.35], "dapo": [0.2, 0.2, 0.2]}


def _found(a=A, b=B, **columns):
    return compared(Ablation("a", _runs(a), 3), Ablation("b", _runs(b, **columns), 4))


def test_differences_by_hand():
    """vapo: +0.1 in every seed. Without clip_higher: 0, -0.1, -0.05; its effect changes by -0.1, -0.2, -0.15."""
    table = _found().table.set_index("arm")
    assert list(table.index) == ["vapo", "vapo without clip_higher"]
    assert table.loc["vapo", ["diff", "diff_low", "diff_high"]].tolist() == pytest.approx([0.1, 0.1, 0.1])
    row = table.loc["vapo without clip_higher"]
    assert row["diff"] == pytest.approx(-0.05)
    assert (row["effect_a"], row["effect_b"]) == (pytest.approx(-0.1), pytest.approx(-0.25))
    half = 4.302653 * 0.05 / np.sqrt(3)
    assert [row[f"effect_diff{end}"] for end in ("", "_low", "_high")] == pytest.approx(
        [-0.15, -0.15 - half, -0.15 + half]
    )
    assert (row["seeds"], row["planned"]) == (3, 4)


def test_swapped_it_has_the_opposite_sign():
    there, back = _found().table, _found(B, A).table
    for name in ("diff", "effect_diff"):
        assert there[name].dropna().tolist() == pytest.approx((-back[name]).dropna().tolist())


def test_only_common_seeds_count():
    fewer = {**B, "vapo": [0.5, np.nan, 0.7]}
    table = _found(b=fewer).table.set_index("arm")
    assert table.loc["vapo", "seeds"] == 2
    assert table.loc["vapo", "a"] == pytest.approx(0.5)  # the mean of seeds 0 and 2
    assert table.loc["vapo without clip_higher", ["seeds", "effect_seeds"]].tolist() == [3, 2]


def test_the_same_runs_are_identical():
    found = _found(b=A)
    assert (found.table["identical"] == 3).all()
    assert {row[3] for row in compared_sheet(found, "a", "b", "AUC").rows} == {"identical"}


def test_what_differs_and_what_is_left_out_is_said():
    found = _found(**{"settings.alpha": 0.25, "git_commit": "new"})
    assert found.differ == ("alpha 1.5 and 0.25", "commit abc1234 and new")
    caption = compared_sheet(found, "old", "new", "AUC").caption
    assert "Only in A: grpo. Only in B: dapo." in caption


def test_other_steps_cannot_be_compared():
    with pytest.raises(ValueError, match="differ in steps"):
        _found(steps=7)


def test_no_common_seed_is_said():
    with pytest.raises(ValueError, match="common seed"):
        _found(b={"vapo": [np.nan] * 5 + [0.5]})
