"""Every estimate says how long the answers were: tokens, and on the walk decisions without filler."""

import json
import math

import pandas as pd
import pytest

from analysis.verdict.decisions import Verdict
from analysis.verdict.lengths import computed_at, mean_decisions, mean_length, shown, with_lengths
from analysis.verdict.verdicts import as_json, read


def row(**more) -> Verdict:
    found = Verdict("h9a", "walk", 0.5, "AUC", 0.4, 0.6, 0.1, 3, None, False, "full", 0.2, {}, "x")
    return found._replace(**more)


def runs(**columns) -> pd.DataFrame:
    return pd.DataFrame({"world": "walk", **columns})


def test_tokens_and_decisions_by_hand():
    """Three moves with three forced tokens each and a stop: 13 tokens, 4 decisions; without filler tokens are decisions."""
    assert mean_length(runs(mean_length=[13.0, 5.0])) == 9.0
    assert mean_decisions(runs(mean_length=[13.0, 5.0], **{"dials.filler": [3.0, 0.0]})) == pytest.approx((4 + 5) / 2)
    assert mean_decisions(runs(mean_length=[13.0])) == 13.0


def test_a_run_without_a_length_is_left_out_and_none_leaves_nothing():
    assert mean_length(runs(mean_length=[13.0, math.nan])) == 13.0
    assert math.isnan(mean_length(runs(mean_length=[math.nan])))
    assert math.isnan(mean_decisions(pd.DataFrame({"world": [], "mean_length": []})))


def test_text_has_no_decisions_and_the_exact_level_the_lengths_it_was_computed_at():
    text = pd.DataFrame({"world": ["lm"], "mean_length": [50.0]})
    assert math.isnan(mean_decisions(text))
    exact = pd.DataFrame({"world": ["exact"], "mean_length": [math.nan], "lengths": ["16 64"]})
    assert mean_length(exact) == 40.0


def test_rows_take_the_length_of_their_runs_unless_they_have_one():
    own, taken = with_lengths([row(mean_length=7.0), row()], runs(mean_length=[13.0], **{"dials.filler": [3.0]}))
    assert (own.mean_length, taken.mean_length, taken.mean_decisions) == (7.0, 13.0, 4.0)
    assert shown(taken) == "13 tokens, 4 decisions"
    assert shown(own) == "7 tokens"
    assert shown(row()) == "–"


def test_json_keeps_lengths_and_rows_from_before_have_none(tmp_path):
    path = tmp_path / "verdicts.json"
    path.write_text(as_json([row(mean_length=13.0, mean_decisions=4.0)]))
    assert read(path) == [row(mean_length=13.0, mean_decisions=4.0)]
    older = [
        {name: x for name, x in one.items() if not name.startswith("mean_")} for one in json.loads(path.read_text())
    ]
    path.write_text(json.dumps(older))
    assert math.isnan(read(path)[0].mean_length)


def test_a_row_of_the_exact_level_has_the_geometric_mean_of_its_lengths():
    assert computed_at(row(), [64, 1024]).mean_length == pytest.approx(256)
