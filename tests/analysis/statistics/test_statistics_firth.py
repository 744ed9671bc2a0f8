"""Penalised and plain likelihood against closed forms, brute force and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize
from scipy.special import expit

from analysis.statistics.firth import firth, penalised
from analysis.statistics.logistic import Data, grouped, highest, likelihood


def cells(*counts):
    """Two groups of (hits, misses)."""
    (a, b), (c, d) = counts
    return Data(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([a, c], float), np.array([a + b, c + d], float))


def drawn(size=40, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(size), rng.normal(size=(size, columns - 1))])
    return design, (rng.random(size) < expit(design @ rng.normal(size=columns))).astype(float)


def objective(design, hits):
    """Firth's criterion, written out once more: log-likelihood of trials + half the log determinant of X'WX."""

    def negative(at):
        p = expit(design @ at)
        information = sum(q * (1 - q) * np.outer(x, x) for q, x in zip(p, design, strict=True))
        return -(hits @ np.log(p) + (1 - hits) @ np.log1p(-p) + np.linalg.slogdet(information)[1] / 2)

    return negative


@pytest.mark.parametrize("table", [((3, 5), (6, 2)), ((0, 8), (6, 2)), ((0, 9), (7, 0)), ((0, 4), (0, 5))])
def test_a_two_by_two_table_gets_half_a_count_in_every_cell(table):
    """Saturated model: Firth's odds are (a + 1/2) / (b + 1/2) in each group (Heinze and Schemper 2002), zeros or not."""
    (a, b), (c, d) = table
    first = np.log((a + 0.5) / (b + 0.5))
    assert firth(cells(*table)).coefficients == pytest.approx([first, np.log((c + 0.5) / (d + 0.5)) - first])


def test_one_constant_is_the_share_with_half_a_count():
    data = Data(np.ones((1, 1)), np.array([0.0]), np.array([20.0]))
    assert firth(data).coefficients == pytest.approx([np.log(0.5 / 20.5)])


@pytest.mark.parametrize("seed", range(4))
def test_against_a_brute_force_maximum(seed):
    design, hits = drawn(seed=seed)
    best = optimize.minimize(
        objective(design, hits), np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    found = firth(grouped(design, hits))
    assert found.coefficients == pytest.approx(best.x, abs=1e-5)
    assert found.height == pytest.approx(-best.fun, abs=1e-9)


def test_far_outliers_do_not_lead_astray():
    """Doses with Cauchy-like tails and few hits: full Newton steps would climb down or zigzag; no search gets higher."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        design = np.column_stack([np.ones(8), rng.standard_t(1.2, 8)])
        hits = (rng.random(8) < 0.15).astype(float)
        found = firth(grouped(design, hits))
        best = optimize.minimize(objective(design, hits), found.coefficients + [0.3, -0.1], method="Nelder-Mead")
        assert found.height > -best.fun - 1e-9


def test_separated_outcomes_have_a_finite_maximum():
    x = np.arange(8.0) - 3.5
    design, hits = np.column_stack([np.ones(8), x]), (x > 0).astype(float)
    best = optimize.minimize(
        objective(design, hits), np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    found = firth(grouped(design, hits))
    assert found.coefficients == pytest.approx(best.x, abs=1e-5)
    assert 0.5 < found.coefficients[1] < 5


def test_within_a_span_it_is_the_constrained_maximum():
    design, hits = drawn()
    span = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -2.0]])
    best = optimize.minimize(
        lambda g: objective(design, hits)(span @ g), np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9}
    )
    found = firth(grouped(design, hits), span)
    assert found.coefficients == pytest.approx(span @ best.x, abs=1e-5)


def test_the_score_is_the_slope_of_the_height():
    design, hits = drawn(columns=2)
    at, data = np.array([0.3, -0.7]), grouped(*drawn(columns=2))
    for function in (penalised, likelihood):
        numeric = optimize.approx_fprime(at, lambda b, f=function: f(data, b).height, 1e-6)
        assert function(data, at).score == pytest.approx(numeric, abs=1e-4)
    assert penalised(data, at).height == pytest.approx(-objective(design, hits)(at))


def test_plain_likelihood_against_statsmodels():
    design, hits = drawn(80)
    reference = sm.Logit(hits, design).fit(disp=0)
    data = grouped(design, hits)
    found = highest(lambda at: likelihood(data, at), np.eye(3))
    assert found.coefficients == pytest.approx(reference.params, abs=1e-4)
    assert found.height == pytest.approx(reference.llf, abs=5e-4)


def test_penalty_shrinks_and_vanishes_with_size():
    """Bias of the plain estimate is outward, of order 1/N: at 20,000 trials the two agree."""
    for size, apart in ((40, 0.02), (20_000, 0.0)):
        design, hits = drawn(size)
        data = grouped(design, hits)
        plain = highest(lambda at, d=data: likelihood(d, at), np.eye(3)).coefficients
        difference = np.linalg.norm(plain) - np.linalg.norm(firth(data).coefficients)
        assert difference > apart
        if size > 1000:
            assert difference < 1e-3


def test_grouping_changes_nothing():
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(60), rng.integers(0, 3, 60)])
    hits = (rng.random(60) < 0.4).astype(float)
    whole = Data(design, hits, np.ones(60))
    assert len(grouped(design, hits).hits) == 3
    assert firth(grouped(design, hits)).coefficients == pytest.approx(firth(whole).coefficients)


def test_dependent_columns_are_an_error():
    design, hits = drawn(columns=2)
    with pytest.raises(ValueError, match="linearly dependent"):
        firth(grouped(np.column_stack([design, design[:, 1]]), hits))


def test_trials_of_equal_design_are_counted_together():
    rng = np.random.default_rng(3)
    design = rng.integers(0, 3, (50, 3)) / 4
    hits = rng.integers(0, 2, 50).astype(float)
    found = grouped(design, hits)
    rows, place, trials = np.unique(design, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(found.design, rows)
    np.testing.assert_array_equal(found.trials, trials)
    np.testing.assert_array_equal(found.hits, np.bincount(place.reshape(-1), hits))
