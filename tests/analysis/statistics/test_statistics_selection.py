"""Choosing the best flatters it; choosing on other seeds does not."""

import numpy as np
import pytest
from scipy import integrate, stats

from analysis.statistics.selection import cross_fitted


def test_best_of_nine_looks_better_than_it_is_and_cross_fitting_does_not():
    """METHODS.md: 9 equal settings, 10 seeds: 0.47 sd too good. E max of 9 normals is 1.485, over sqrt(10) 0.4696."""
    expected, _ = integrate.quad(lambda z: 9 * z * stats.norm.pdf(z) * stats.norm.cdf(z) ** 8, -10, 10)
    assert expected / np.sqrt(10) == pytest.approx(0.47, abs=0.001)
    rng = np.random.default_rng(0)
    plain, fair = [], []
    for _ in range(2000):
        scores = rng.normal(size=(10, 9))
        plain.append(scores.mean(axis=0).max())
        fair.append(cross_fitted(scores, rng, splits=2).scores.mean())
    assert np.mean(plain) == pytest.approx(0.4696, abs=4 * np.std(plain) / np.sqrt(2000))
    assert np.mean(fair) == pytest.approx(0.0, abs=4 * np.std(fair) / np.sqrt(2000))


def test_seeds_that_settings_share_change_nothing():
    """Paired settings differ by 0.3 of what seeds differ by; the flattery is of the unshared part and is removed."""
    rng, fair = np.random.default_rng(1), []
    for _ in range(1000):
        level = rng.normal(size=(10, 1))
        fair.append(cross_fitted(level + 0.3 * rng.normal(size=(10, 9)), rng, 2).scores.mean() - level.mean())
    assert np.mean(fair) == pytest.approx(0.0, abs=4 * np.std(fair) / np.sqrt(1000))


def test_a_clear_best_is_chosen_and_scored_as_it_is():
    scores = np.random.default_rng(0).normal(size=(8, 4)) + [0, 0, 50, 0]
    found = cross_fitted(scores, np.random.default_rng(1))
    assert (found.chosen == 2).all()
    assert found.scores == pytest.approx(scores[:, 2])


def test_no_seed_scores_what_it_chose():
    """Every seed alone is best in its own column: a choice scored on the choosing half would read 1."""
    found = cross_fitted(np.eye(6), np.random.default_rng(0), splits=50)
    assert found.scores.max() == 0.0
    assert found.chosen.shape == (50, 2)


def test_equal_generators_split_equally():
    scores = np.random.default_rng(0).normal(size=(9, 3))
    twice = [cross_fitted(scores, np.random.default_rng(4)) for _ in range(2)]
    assert (twice[0].scores == twice[1].scores).all()
    shifted = cross_fitted(scores + 7, np.random.default_rng(4))
    assert shifted.scores == pytest.approx(twice[0].scores + 7)


def test_a_choice_by_other_scores_is_scored_on_seeds_that_did_not_choose():
    """Tuned on one thing, used for another: the setting that is best there, at what it is worth here."""
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=(8, 3)) + [9, 0, 0], rng.normal(size=(8, 3)) + [0, 0, 9]
    found = cross_fitted(here, np.random.default_rng(1), by=there)
    assert (found.chosen == 2).all()
    assert found.scores == pytest.approx(here[:, 2])
    alone = cross_fitted(np.arange(12.0).reshape(6, 2), np.random.default_rng(0), splits=50, by=np.eye(6)[:, :2])
    assert set(alone.chosen.ravel()) == {0, 1}
    with pytest.raises(ValueError, match="by: shape"):
        cross_fitted(here, rng, by=there[:4])


@pytest.mark.parametrize("shape", [(1, 3), (4, 0), (5,)])
def test_refusals(shape):
    with pytest.raises(ValueError, match="at least 2 seeds"):
        cross_fitted(np.zeros(shape), np.random.default_rng(0))
