"""The trap's outcomes: thresholds at their edges, and what a run's row and curve say."""

import pandas as pd
import pytest

from analysis.hypotheses.h4_exploration.tables import figure, outcome, outcomes
from analysis.tables.schema import Tables


@pytest.mark.parametrize(
    ("accuracy", "name"), [(0.5, "escape"), (0.4999, "open"), (0.2501, "open"), (0.25, "capture"), (0.0, "capture")]
)
def test_thresholds_belong_to_the_outcome_they_name(accuracy, name):
    assert outcome(accuracy) == name


def test_rows_follow_the_dial_and_lengths_are_first_and_last():
    runs = pd.DataFrame(
        {
            "spec": ["b", "a"], "seed": [0, 0], "base": "tiny:0", "steps": 60, "first": [0.2, 0.3], "last": [0.1, 0.8],
            "dials.guess_share": [0.9, 0.6], "dials.guess_right": 0.2,
        }
    )  # fmt: skip
    curves = pd.DataFrame(
        [("a", step, "response_length/mean", value) for step, value in ((60, 12.0), (1, 6.0), (30, 9.0))],
        columns=["spec", "step", "metric", "value"],
    )
    table = outcomes(Tables(runs, curves))
    assert list(table["outcome"]) == ["escape", "capture"]
    assert list(table.loc[0, ["guess_share", "length_before", "length_after"]]) == [0.6, 6.0, 12.0]
    drawn = figure(table)
    assert drawn.data is table
    assert [text.get_text() for text in drawn.figure.axes[0].get_legend().get_texts()] == [
        "escape (1)", "open (0)", "capture (1)",
    ]  # fmt: skip
