"""Numbers as text."""

import pandas as pd
import pytest

from analysis.tables.terminal import interval, number


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.0021, 0.0004, 0.0038), "+0.0021 [+0.0004, +0.0038]"),  # three decimals would show a bound of 0
        ((-0.0021, -0.0038, -0.0004), "-0.0021 [-0.0038, -0.0004]"),
        ((0.0016, -0.0004, 0.0036), "+0.002 [0.000, +0.004]"),  # includes 0
        ((-0.037, -0.041, -0.033), "-0.037 [-0.041, -0.033]"),
        ((0.1, 1e-9, 0.2), "+0.100000 [0.000000, +0.200000]"),
        ((0.02, float("nan"), float("nan")), "+0.020"),
    ],
)
def test_an_interval_that_excludes_0_shows_it(numbers, text):
    row = pd.Series(dict(zip(("x", "x_low", "x_high"), numbers, strict=True)))
    assert interval(row, "x", sign=True) == text


def test_zero_has_no_sign():
    assert [number(x, sign=True) for x in (-0.0001, 0.0, 0.0001, -0.01)] == ["0.000", "0.000", "0.000", "-0.010"]
