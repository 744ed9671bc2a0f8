"""Exponents per instance."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import student
from analysis.statistics.slopes import loglog_slope


def test_powers_come_back():
    x = np.array([32, 64, 256, 1024])
    assert loglog_slope(x, 7 * x ** (1 / 3)) == pytest.approx(1 / 3)
    assert loglog_slope(x, np.array([x**-1.0, 3 * x**0.0, x**2.0])) == pytest.approx([-1, 0, 2])


def test_against_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 9, 12), rng.uniform(1, 9, (5, 12))
    expected = [stats.linregress(np.log(x), np.log(row)).slope for row in y]
    assert loglog_slope(x, y) == pytest.approx(expected)


def test_units_do_not_matter():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 9, 12), rng.uniform(1, 9, 12)
    assert loglog_slope(1000 * x, 0.01 * y) == pytest.approx(loglog_slope(x, y))


def test_an_interval_over_instances_covers():
    rng, x = np.random.default_rng(0), np.array([32.0, 128, 512])
    hits = []
    for _ in range(500):
        found = student(
            loglog_slope(x, x ** (0.33 + 0.2 * rng.normal(size=(10, 1))) * np.exp(rng.normal(size=(10, 3))))
        )
        hits.append(found.low <= 0.33 <= found.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("x", "y"), [([1, 0], [1, 1]), ([1, 2], [1, 0]), ([2, 2], [1, 3]), ([1, 2], [1, np.nan])])
def test_refusals(x, y):
    with pytest.raises(ValueError, match="slope needs"):
        loglog_slope(x, y)
