"""d50 and its shifts: known curves, sharp edges, arms beyond the dial, and coverage."""

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import expit

from analysis.statistics.dose_response import d50, shift, shift_over_seeds

DIAL = np.arange(7.0)


def trials(true, slope=2.0, seeds=32, arm=0.0, seed=0, noise=0.0):
    """dose, hit, arm, seed of two arms; seeds shift both alike by `noise`."""
    rng = np.random.default_rng(seed)
    dose, label = np.tile(DIAL, 2 * seeds), np.tile(np.repeat(np.arange(seeds), len(DIAL)), 2)
    second = np.arange(dose.size) >= dose.size / 2
    centre = true + arm * second + noise * rng.normal(size=seeds)[label]
    return dose, (rng.random(dose.size) < expit(slope * (centre - dose))).astype(float), second, label


def test_a_symmetric_table_has_its_d50_in_the_middle():
    """Hits 4, 3, 1, 0 of 4 at doses 0, 2, 4, 6 mirror themselves about 3."""
    dose = np.repeat([0.0, 2, 4, 6], 4)
    hit = np.concatenate([[1] * n + [0] * (4 - n) for n in (4, 3, 1, 0)])
    found = d50(dose, hit)
    assert found.d50 == pytest.approx(3.0, abs=1e-6)
    assert found.low + found.high == pytest.approx(6.0, abs=1e-4)
    assert found.lies == "inside"


def test_the_interval_is_that_of_the_likelihood_ratio():
    """At either bound the best curve through it is chi2 / 2 below the best of all; by brute force."""
    dose, hit, arm, _ = trials(3.2)
    dose, hit = dose[~arm], hit[~arm]

    def height(centre, slope):
        odds = slope * (centre - dose)
        return hit @ odds - np.logaddexp(0, odds).sum()

    best = -optimize.minimize(lambda at: -height(*at), [3.0, 1.0], method="Nelder-Mead").fun
    found = d50(dose, hit, 0.9)
    for bound in (found.low, found.high):
        there = -optimize.minimize_scalar(lambda s, b=bound: -height(b, s), bounds=(0, 50), method="bounded").fun
        assert 2 * (best - there) == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-3)


def test_units_and_order_do_not_matter():
    dose, hit, arm, _ = trials(3.2, arm=0.8)
    plain, order = shift(dose, hit, arm), np.random.default_rng(0).permutation(dose.size)
    scaled = shift(100 + 10 * dose[order], hit[order], arm[order])
    assert scaled.interval == pytest.approx([10 * value for value in plain.interval], abs=1e-3)
    assert scaled.slope == pytest.approx(plain.slope / 10)
    swapped = shift(dose, hit, ~arm)
    assert swapped.interval == pytest.approx((-plain.shift, -plain.high, -plain.low), abs=1e-3)
    mirrored = d50(-dose, 1 - hit)
    assert mirrored.interval == pytest.approx(
        [-value for value in np.array(d50(dose, hit).interval)[[0, 2, 1]]], abs=1e-3
    )


def test_a_sharp_edge_is_known_up_to_its_gap():
    """All hits up to dose 2 and none from 3 on: the estimate is the middle, and no dose between can be excluded."""
    dose = np.tile(DIAL, 32)
    found = d50(dose, dose < 2.5)
    assert found.d50 == pytest.approx(2.5, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((2.0, 3.0), abs=0.03)
    both, arm = np.tile(DIAL, 64), np.arange(448) >= 224
    moved = shift(both, both < np.where(arm, 3.5, 2.5), arm)
    assert moved.shift == pytest.approx(1.0, abs=1e-6)
    assert (moved.low, moved.high) == pytest.approx((0.0, 2.0), abs=0.1)


def test_seeds_that_all_fall_into_one_gap_prove_no_more_than_the_gap():
    both, arm = np.tile(DIAL, 64), np.arange(448) >= 224
    label = np.tile(np.repeat(np.arange(32), 7), 2)
    hit = both < np.where(arm, 3.5, 2.5)
    assert shift_over_seeds(both, hit, arm, label).interval == shift(both, hit, arm).interval


@pytest.mark.parametrize(("hits", "lies", "bound"), [(1.0, "above", 6.0), (0.0, "below", 0.0)])
def test_beyond_the_dial_it_is_a_bound(hits, lies, bound):
    dose = np.tile(DIAL, 8)
    found = d50(dose, np.full(dose.size, hits))
    assert (found.d50, found.lies) == (bound, lies)
    assert (found.low, found.high) == ((6.0, np.inf) if hits else (-np.inf, 0.0))


def test_three_trials_beyond_the_dial_are_no_proof():
    """Three hits of three doses: d50 is stated as above, and its lower bound says how little that means."""
    found = d50([0.0, 1, 2], [1, 1, 1])
    assert (found.d50, found.high) == (2.0, np.inf)
    assert found.low < 2.0


def test_a_curve_that_rises_has_no_dose_of_even_odds():
    """Hits at high doses only: not above all of them, and nothing is extrapolated from the rise."""
    rising = d50(np.tile(DIAL, 32), np.tile(DIAL, 32) > 3.5)
    assert (rising.slope, rising.lies) == (0.0, "below")
    as_often = d50(np.tile(DIAL[:6], 32), np.tile(DIAL[:6], 32) > 2.5)
    assert (as_often.low, as_often.high) == (-np.inf, np.inf), "even odds at every dose is the best that does not rise"
    coin = d50(np.tile(DIAL, 32), np.repeat([0, 1], 112))
    assert (coin.low, coin.high) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("reference", "arm", "low", "high"),
    [
        (0.5, 1.0, 1, np.inf), (0.5, 0.0, -np.inf, -1), (1.0, 0.5, -np.inf, -1), (0.0, 0.5, 1, np.inf),
        (1.0, 1.0, -np.inf, np.inf), (0.0, 0.0, -np.inf, np.inf), (0.0, 1.0, 1, np.inf),
    ],
)  # fmt: skip
def test_a_shift_to_or_from_beyond_the_dial_is_a_bound(reference, arm, low, high):
    """Shares 1 and 0 are arms that hit always or never; 0.5 one whose d50 is 3. Bounds: open, or beyond 1 nat."""
    dose, _, second, label = trials(3.0)
    always = {0.0: 0.0 * dose, 1.0: 0.0 * dose + 1, 0.5: trials(3.0)[1]}
    hit = np.where(second, always[arm], always[reference])
    for found in (shift(dose, hit, second), shift_over_seeds(dose, hit, second, label)):
        assert found.low == low if np.isinf(low) else found.low > low
        assert found.high == high if np.isinf(high) else found.high < high
        assert found.low <= found.shift <= found.high


def test_a_bound_is_measured_to_the_arms_own_last_dose():
    """The arm was tried up to 10 and hit everywhere, the reference up to 6 with d50 3: the shift is at least 7."""
    rng = np.random.default_rng(0)
    dose = np.concatenate([np.tile(DIAL, 40), np.tile(np.arange(11.0), 40)])
    arm = np.arange(dose.size) >= 280
    hit = np.where(arm, 1, rng.random(dose.size) < expit(2 * (3 - dose)))
    found = shift(dose, hit, arm)
    assert found.shift == pytest.approx(7, abs=0.3)
    assert (found.reference, found.arm) == ("inside", "above")
    dose = np.concatenate([np.tile(np.arange(11.0), 40), np.tile(DIAL, 40)])
    arm = np.arange(dose.size) >= 440
    found = shift(dose, np.where(arm, 1, rng.random(dose.size) < expit(0.7 * (3 - dose))), arm)
    assert found.shift == pytest.approx(3, abs=0.6), "its d50 may well be 8, but doses above 6 were not tried with it"
    assert found.arm == "above"


@pytest.mark.parametrize(("slope", "seeds", "share"), [(1.0, 16, 0.92), (3.0, 8, 0.92), (20.0, 32, 0.97)])
def test_coverage_of_d50(slope, seeds, share):
    """200 curves, one as steep as the gap between doses: 95 % within three standard errors, more where it is steep."""
    rng, hits = np.random.default_rng(0), []
    for number in range(200):
        true = rng.uniform(2, 4)
        dose, hit, arm, _ = trials(true, slope, seeds, seed=number)
        found = d50(dose[~arm], hit[~arm])
        hits.append(found.low <= true <= found.high)
    assert np.mean(hits) > share - 3 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_coverage_of_shifts(noise):
    """A known shift of 0.7 whether seeds differ or not; 80 studies."""
    hits = []
    for number in range(80):
        dose, hit, arm, label = trials(2.8, 2.0, 16, 0.7, number, noise)
        found = shift_over_seeds(dose, hit, arm, label)
        hits.append(found.low <= 0.7 <= found.high)
    assert np.mean(hits) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 80)


def test_one_seed_has_no_interval():
    dose, hit, arm, label = trials(3.0, seeds=4)
    found = shift_over_seeds(dose, hit, arm, np.zeros_like(label))
    assert (found.low, found.high) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: d50([1.0, 1.0], [0, 1]), "two different doses"),
        (lambda: d50([], []), "two different doses"),
        (lambda: shift([0.0, 1.0], [0, 1], [True, True]), "both arms"),
        (lambda: shift([0.0, 1.0], [0, 1], [True, False]), "linearly dependent"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
