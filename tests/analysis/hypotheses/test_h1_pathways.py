"""Other sources of values: differences as planted, pairs alone, each beside the critic's own from the same start."""

import numpy as np
import pytest

from analysis.hypotheses.h1_value_fidelity.pathways import STARTS, VALUES, figure, gains
from tests.calibration.planting import frame, tables

WARM, BIASED = STARTS
BOUNDED, FRESH = VALUES


def planted(seeds=range(4)):
    """Cut values are worth 0.01, and 0.2 from a biased start; continuations 0.05 at ten times the tokens."""
    rows = []
    for seed in seeds:
        for start, auc in ((WARM, 0.6), (BIASED, 0.4)):
            gain = {"": 0.0, BOUNDED: 0.2 if start == BIASED else 0.01, FRESH: 0.05}
            rows += [
                {"seed": seed, **STARTS[start], "variants": variant, "auc": auc + more + 0.02 * seed,
                 "tokens": 1e6 if variant == FRESH else 1e5}
                for variant, more in gain.items()
            ]  # fmt: skip
    return frame(rows)


def test_differences_are_those_planted():
    found = gains(tables(planted()))
    means = found.groupby(["start", "values"])[["gain", "log_tokens"]].mean()
    assert len(found) == 4 * 4
    assert means.loc[(WARM, VALUES[BOUNDED]), "gain"] == pytest.approx(0.01)
    assert means.loc[(BIASED, VALUES[BOUNDED]), "gain"] == pytest.approx(0.2)
    assert means.loc[(BIASED, VALUES[FRESH])].tolist() == pytest.approx([0.05, np.log(10)])
    drawn = figure(found)
    assert drawn.data["difference"].tolist() == pytest.approx([0.01, 0.05, 0.2, 0.05])
    assert drawn.data["times_the_tokens"].tolist() == pytest.approx([1, 10, 1, 10])
    assert (drawn.data["low"] <= drawn.data["difference"]).all()


def test_only_pairs_count_and_longer_runs_are_other_runs():
    runs = planted()
    lost = runs[~((runs["seed"] == 2) & (runs["variants"] == ""))]
    assert set(gains(tables(lost))["seed"]) == {0, 1, 3}
    longer = runs.assign(steps=runs["steps"].where(runs["variants"] != "", 60))
    assert not len(gains(tables(longer)))
    twice = gains(tables(frame([*planted().to_dict("records"), {**planted().iloc[0].to_dict(), "spec": "f" * 16}])))
    assert len(twice) == 4 * 4, "the same run with other probes is no second seed"


def test_nothing_without_rows():
    assert not len(gains(tables(planted().iloc[:0])))
    assert not len(gains(tables(planted()[lambda runs: runs["variants"] == ""])))
