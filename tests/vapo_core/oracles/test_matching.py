"""Two sets under overlap weights have one distribution over cells, and no weight explodes."""

import numpy as np
import pytest

from vapo_core.oracles.matching import balanced, cells_of, effective_share, overlap_weights


def test_weighted_sets_have_one_distribution_by_hand():
    """Shares 3/4, 1/4 against 1/4, 3/4: both become 1/2, 1/2."""
    one, other = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1])
    first, second = overlap_weights(one, other)
    assert first.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert second.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])


def test_cells_that_one_set_lacks_count_in_neither():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 8, 400), rng.integers(3, 12, 300)
    weights = overlap_weights(one, other)
    sums = [np.bincount(c, w, minlength=12) for c, w in zip((one, other), weights, strict=True)]
    np.testing.assert_allclose(*sums, atol=1e-12)
    assert sums[0].sum() == pytest.approx(1)
    assert (sums[0][:3] == 0).all()
    assert (sums[0][8:] == 0).all()
    raw = [w * len(w) for w in weights]
    assert (
        max(x.max() for x in raw)
        <= 1 / np.minimum(*[np.bincount(c, minlength=12) / len(c) for c in (one, other)]).sum()
    )


def test_sets_without_a_common_cell_have_no_weight():
    first, second = overlap_weights(np.array([0, 0]), np.array([1]))
    assert not first.any()
    assert not second.any()
    assert effective_share(first) == 0.0


def test_the_effective_share_counts_places():
    assert effective_share(np.full(7, 0.3)) == pytest.approx(1)
    assert effective_share(np.array([1.0, 0, 0, 0])) == pytest.approx(0.25)
    assert effective_share(np.array([0.5, 0.5, 0, 0])) == pytest.approx(0.5)


def test_cells_cut_both_sets_at_the_quantiles_of_their_even_mixture():
    """A set ten times larger does not pull the edges: each counts half."""
    one, other = np.zeros(1000), np.ones(100)
    first, second = cells_of([one], [other], [2])
    assert set(first) != set(second)
    x = np.linspace(0, 1, 400)
    first, second = cells_of([x, x], [x, x], [4, 2])
    assert np.array_equal(first, second)
    assert np.bincount(first)[np.unique(first)].tolist() == pytest.approx([100] * 2 + [100] * 2, abs=2)


def test_tied_values_share_a_cell():
    one, other = np.array([0, 0, 0, 0, 0.5]), np.array([0, 0, 0, 1.0])
    first, second = cells_of([one], [other], [16])
    assert len(set(first[:4]) | set(second[:3])) == 1
    assert len({first[0], first[4], second[3]}) >= 2


def test_a_tilt_brings_the_moments_to_the_target():
    rng = np.random.default_rng(0)
    x = rng.random(500)
    seen = x + rng.normal(0, 0.2, 500)  # weights may depend on what is seen alone
    guide, moments = np.stack([seen, seen**2], 1), np.stack([x, x**2], 1)
    target = np.array([0.6, 0.42])
    weights = balanced(np.full(500, 0.002), guide, moments, target)
    assert weights @ moments == pytest.approx(target)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    kept = balanced(np.full(500, 0.002), guide, moments, np.array([0.5, 0.9]))  # no weights in [0, 1] have such moments
    assert kept == pytest.approx(np.full(500, 0.002))
