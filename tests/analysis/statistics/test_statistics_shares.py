"""Wilson's interval against statsmodels and its ends."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis.statistics.shares import wilson


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (100, 2000), (1, 1)])
@pytest.mark.parametrize("level", [0.8, 0.95, 1 - 0.05 / 16])
def test_against_statsmodels(hits, trials, level):
    found = wilson(hits, trials, level)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(hits, trials, 1 - level, method="wilson"), abs=1e-12
    )
    assert found.estimate == hits / trials


def test_ends_are_exact():
    assert wilson(0, 7).low == 0.0
    assert wilson(7, 7).high == 1.0


@pytest.mark.parametrize(("hits", "trials"), [(2, 1), (-1, 3), (0, 0)])
def test_refusals(hits, trials):
    with pytest.raises(ValueError, match="no share"):
        wilson(hits, trials)
