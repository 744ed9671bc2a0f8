"""Censored times: the textbook data, lifelines' and statsmodels' numbers, and limits without censoring."""

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.statistics.aft import aft, exponent, exponent_difference, median_ratio
from analysis.statistics.intervals import paired, student
from analysis.statistics.slopes import loglog_slope
from analysis.statistics.survival import kaplan_meier, median_time, restricted_mean

# Weeks of remission of Freireich et al. 1963: 6-mercaptopurine and placebo.
DRUG = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
SEEN = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
TIMES, MARKS, ARM = DRUG + PLACEBO, SEEN + [1] * 21, [1] * 21 + [0] * 21


def censored(log_time, end):
    """Times and marks of runs that end at `end`."""
    time = np.exp(log_time)
    return np.minimum(time, end), time <= end


def horizons(exponents, seeds=16, sd=0.3, end=np.inf, seed=0):
    """x, time, observed, arm, seed: times ~ 5 x^b for each arm's b, a level per seed that arms share."""
    rng = np.random.default_rng(seed)
    arm, label, x = (part.ravel() for part in np.meshgrid([0, 1], np.arange(seeds), [8.0, 16, 32, 64], indexing="ij"))
    log_time = np.log(5) + np.asarray(exponents)[arm] * np.log(x) + 0.2 * rng.normal(size=seeds)[label]
    return x, *censored(log_time + sd * rng.normal(size=x.size), end), arm == 1, label


# --- Kaplan-Meier ---


def test_kaplan_meier_is_lifelines():
    """lifelines 0.30.3, KaplanMeierFitter().fit(DRUG, SEEN): survival, 95 % interval, median."""
    found = kaplan_meier(DRUG, SEEN)
    assert found.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert found.survival == pytest.approx(
        [0.857143, 0.806723, 0.752941, 0.690196, 0.627451, 0.537815, 0.448179], abs=1e-6
    )
    assert found.low == pytest.approx([0.619718, 0.563147, 0.503200, 0.431610, 0.367511, 0.267779, 0.188052], abs=1e-6)
    assert found.high == pytest.approx([0.951552, 0.922809, 0.889362, 0.849066, 0.804912, 0.746791, 0.680143], abs=1e-6)
    assert median_time(found) == 23


def test_greenwoods_error_is_statsmodels():
    """Error of log(-log S) times S |log S| is that of S."""
    found, reference = kaplan_meier(DRUG, SEEN, 0.9), SurvfuncRight(DRUG, SEEN)
    assert found.survival == pytest.approx(reference.surv_prob)
    assert found.at_risk == pytest.approx(reference.n_risk)
    width = stats.norm.ppf(0.95) * reference.surv_prob_se / (found.survival * np.log(found.survival))
    assert np.log(np.log(found.low) / np.log(found.survival)) == pytest.approx(-width)


def test_without_censoring_it_is_the_share_left():
    time = [3.0, 1, 2, 2]
    found = kaplan_meier(time, [True] * 4)
    assert found.survival == pytest.approx([0.75, 0.25, 0.0])
    assert (found.low[-1], found.high[-1]) == (0.0, 1.0)
    assert restricted_mean(time, [True] * 4, 10).estimate == pytest.approx(2.0)


def test_an_end_counts_as_later_than_an_event_of_its_time():
    """Of two runs, one ends and one has its event at 5: both were at risk."""
    assert kaplan_meier([5, 5], [True, False]).survival == pytest.approx([0.5])


def test_nothing_seen_is_a_curve_without_steps():
    found = kaplan_meier([4, 5], [False, False])
    assert found.time.size == 0
    assert median_time(found) == np.inf
    assert restricted_mean([4, 4], [False, False], 4) == (4, 4, 4)


def test_pointwise_bounds_cover():
    """S(1) = 1/e of exponential times, a third censored, 30 runs."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(400):
        life, end = rng.exponential(size=30), rng.exponential(2, size=30)
        found = kaplan_meier(np.minimum(life, end), life <= end)
        at = np.searchsorted(found.time, 1.0, side="right") - 1
        hits.append(found.low[at] <= np.exp(-1) <= found.high[at])
    assert np.mean(hits) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 400) + 0.01)


# --- restricted mean ---


def test_restricted_mean_is_lifelines():
    """lifelines 0.30.3, restricted_mean_survival_time(fit of DRUG, t=30)."""
    assert restricted_mean(DRUG, SEEN, 30).estimate == pytest.approx(21.04649859943977)


def test_restricted_mean_of_whole_times_is_the_mean_of_the_shorter():
    """Without censoring: mean and interval of min(time, horizon), normal instead of Student's."""
    time = np.random.default_rng(0).exponential(5, 25)
    cut = np.minimum(time, 6.0)
    found = restricted_mean(time, np.ones(25, bool), 6.0)
    half = 1.959964 * cut.std(ddof=1) / 5
    assert found == pytest.approx((cut.mean(), cut.mean() - half, min(cut.mean() + half, 6.0)), abs=1e-6)


def test_restricted_mean_covers_under_censoring():
    rng, hits = np.random.default_rng(1), []
    truth = 1 - np.exp(-1.5)
    for _ in range(400):
        life, end = rng.exponential(size=40), rng.uniform(0.5, 4, size=40)
        time, seen = np.append(np.minimum(life, end), 1.5), np.append(life <= end, False)
        found = restricted_mean(time, seen, 1.5)
        hits.append(found.low <= truth <= found.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 400) + 0.01)


def test_nothing_is_assumed_beyond_the_last_run():
    with pytest.raises(ValueError, match="nothing is known between 35"):
        restricted_mean(DRUG, SEEN, 40)


@pytest.mark.parametrize(
    ("time", "seen", "words"),
    [([1, 2], [True], "one time"), ([], [], "one time"), ([1, np.nan], [1, 0], "finite"), ([-1], [1], "negative")],
)
def test_refusals_of_times(time, seen, words):
    with pytest.raises(ValueError, match=words):
        kaplan_meier(time, seen)


# --- log-normal accelerated failure times ---


def test_aft_is_lifelines():
    """lifelines 0.30.3, LogNormalAFTFitter of both arms: coefficients, standard errors, log sd 0.079."""
    found = aft(np.column_stack([np.ones(42), ARM]), TIMES, MARKS)
    assert found.coefficients == pytest.approx([1.825121, 1.346848], abs=3e-6)
    assert np.sqrt(found.covariance.diagonal()) == pytest.approx([0.201605, 0.316498], abs=2e-6)
    assert found.sd == pytest.approx(0.923869, abs=1e-6)
    assert found.interval(1) == pytest.approx((1.346848, 0.726523, 1.967173), abs=3e-6)


def test_aft_is_the_maximum_by_brute_force():
    x, time, seen, arm, _ = horizons((1.0, 1.3), end=600.0)
    design = np.column_stack([np.ones(x.size), np.log(x), arm])

    def negative(at):
        r = (np.log(time) - design @ at[:3]) / np.exp(at[3])
        return -np.where(seen, stats.norm.logpdf(r) - at[3], stats.norm.logsf(r)).sum()

    assert 0 < (~seen).sum() < seen.size / 2
    best = optimize.minimize(negative, [1.0, 1, 0, 0], method="BFGS", options={"gtol": 1e-8})
    found = aft(design, time, seen)
    assert [*found.coefficients, np.log(found.sd)] == pytest.approx(best.x, abs=1e-5)


def test_aft_without_censoring_is_least_squares():
    x, time, seen, *_ = horizons((1.0, 1.0))
    found = aft(np.column_stack([np.ones(x.size), np.log(x)]), time, seen)
    assert found.coefficients[1] == pytest.approx(float(loglog_slope(x, time)))


def test_unit_of_time_moves_the_constant_alone():
    x, time, seen, arm, _ = horizons((1.0, 1.3), end=600.0)
    design = np.column_stack([np.ones(x.size), np.log(x), arm])
    plain, scaled = aft(design, time, seen), aft(design, 1e6 * time, seen)
    assert scaled.coefficients - plain.coefficients == pytest.approx([np.log(1e6), 0, 0], abs=1e-6)
    assert scaled.sd == pytest.approx(plain.sd)


def test_censoring_read_as_events_would_bias_the_exponent():
    """Exponent 1.5, a third of the runs cut off at 1,000: counted as events it reads 1.3 or less, counted as censored 1.5."""
    x, time, seen, _, label = horizons((1.5, 1.5), seeds=300, end=1000.0)
    assert exponent(x, time, seen, label).estimate == pytest.approx(1.5, abs=0.04)
    assert float(loglog_slope(x, time)) < 1.3
    assert 0.2 < np.mean(~seen) < 0.5


def test_exponent_of_whole_times_is_the_mean_of_the_seeds_slopes():
    x, time, seen, arm, label = horizons((1.0, 1.4))
    rows = [(arm == a)[:, None] & (label[:, None] == np.arange(16)) for a in (False, True)]
    slopes = [[float(loglog_slope(x[mine], time[mine])) for mine in part.T] for part in rows]
    only = arm.astype(bool)
    assert exponent(x[only], time[only], seen[only], label[only]) == pytest.approx(student(slopes[1]), rel=1e-6)
    assert exponent_difference(x, time, seen, arm, label) == pytest.approx(paired(slopes[1], slopes[0]), rel=1e-6)


@pytest.mark.parametrize("end", [np.inf, 800.0])
def test_differences_of_exponents_cover(end):
    """Arms 1 and 1.5 (and four in ten of the slower arm's runs cut off): 95 % of 150 studies, within three errors."""
    hits = []
    for number in range(150):
        found = exponent_difference(*horizons((1.0, 1.5), 24, end=end, seed=number))
        hits.append(found.low <= 0.5 <= found.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 150))


def test_median_ratio_is_the_arms_coefficient_and_pairs_seeds():
    label = np.tile(np.arange(21), 2)
    found = median_ratio(TIMES, MARKS, ARM, label)
    assert found.estimate == pytest.approx(1.346848, abs=3e-6)
    rng = np.random.default_rng(0)
    level = rng.normal(size=20)
    time = np.exp(np.concatenate([level, level + np.log(1.25) + 0.05 * rng.normal(size=20)]))
    tight = median_ratio(time, np.ones(40), np.arange(40) >= 20, np.tile(np.arange(20), 2))
    assert tight.estimate == pytest.approx(np.log(1.25), abs=0.04)
    assert tight.high - tight.low < 0.1, "seeds differ by a factor of e, pairs by 5 %"


@pytest.mark.parametrize(
    ("time", "seen", "words"),
    [
        ([0.0, 1, 2, 3], [1] * 4, "positive"),
        ([1.0, 2, 3, 4], [1, 1, 0, 0], "2 of 4 runs"),
        ([1.0, 2, 3, 4], [0] * 4, "0 of 4 runs"),
    ],
)
def test_refusals_of_aft(time, seen, words):
    """An arm that is wholly censored has a bound, not an estimate."""
    with pytest.raises(ValueError, match=words):
        aft(np.column_stack([np.ones(4), [0, 0, 1, 1]]), time, seen)
