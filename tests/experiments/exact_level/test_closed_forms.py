"""Closed forms that need no tree: the optimal horizon (R4), variances of reductions (R6), drift of modes (R7), trust
region (R8), value pretraining (R9), coverage (R10) and blame (R12), each with the numbers the theory note states."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom, rankdata

from vapo_core.functional.advantages import gae
from vapo_core.functional.losses import nll
from vapo_core.oracles.tabular import adaptive


def horizon_mse(h: float, length: float, samples: float, sigma: float, tau: float, v: float) -> float:
    """R4: bias of a frozen error with correlation length tau, variance of h terms."""
    return sigma**2 * (tau / (tau + h)) ** 2 + v * h / (2 * length * samples)


def best_horizon(*numbers: float) -> float:
    found = minimize_scalar(lambda x: horizon_mse(np.exp(x), *numbers), bounds=(-2, 25), method="bounded")
    return float(np.exp(found.x))


def test_r4_horizon_grows_with_the_cube_root_of_length_and_of_samples():
    lengths = np.geomspace(1e5, 1e9, 5)
    by_length = [best_horizon(x, 64, 0.1, 2.0, 0.2) for x in lengths]
    assert np.polyfit(np.log(lengths), np.log(by_length), 1)[0] == pytest.approx(1 / 3, abs=0.01)
    by_samples = [best_horizon(1e6, n, 0.1, 2.0, 0.2) for n in (64, 640, 6400)]
    assert np.polyfit(np.log([64, 640, 6400]), np.log(by_samples), 1)[0] == pytest.approx(1 / 3, abs=0.01)
    closed = (4 * 0.1**2 * 2.0**2 * lengths[-1] * 64 / 0.2) ** (1 / 3)
    assert by_length[-1] == pytest.approx(closed, rel=0.01)


def test_r4_too_short_costs_five_times_more_than_too_long():
    """MSE(c h*) / MSE(h*) = (c^-2 + 2c) / 3: 33 at a tenth, 6.7 at ten times."""
    numbers = (1e9, 64, 0.1, 2.0, 0.2)
    best = best_horizon(*numbers)
    for factor, cost in ((0.1, 33.4), (10, 6.67)):
        ratio = horizon_mse(factor * best, *numbers) / horizon_mse(best, *numbers)
        assert ratio == pytest.approx(cost, rel=0.02)


@pytest.mark.parametrize(
    ("rho", "stated", "simulated"), [(0.0, 0.53, 0.53), (0.005, 0.81, 0.82), (0.02, 1.24, 1.22), (0.1, 1.69, 1.62)]
)
def test_r6_variance_of_token_over_sequence_mean(rho, stated, simulated):
    """Simulated log-normal lengths, E l = 100, CV^2 = 0.9, B = 64; the formula is for a large batch."""
    rng = np.random.default_rng(0)
    spread = np.sqrt(np.log(1.9))
    draws, batch = 20_000, 64
    length = np.exp(rng.normal(np.log(100) - spread**2 / 2, spread, size=(draws, batch))).round().clip(min=1)
    # mean of l tokens with variance 1 and pairwise correlation rho
    mean = rng.normal(size=length.shape) * np.sqrt((1 - rho) / length + rho)
    token = (length * mean).sum(1) / length.sum(1)
    sequence = mean.mean(1)
    assert token.var() / sequence.var() == pytest.approx(simulated, rel=0.06)
    e_l, e_inverse, cv2 = length.mean(), (1 / length).mean(), length.var() / length.mean() ** 2
    formula = ((1 - rho) / e_l + rho * (1 + cv2)) / ((1 - rho) * e_inverse + rho)
    assert formula == pytest.approx(stated, abs=0.03)


@pytest.mark.parametrize("mean", [20, 100, 500])
def test_r6_reductions_are_equally_noisy_at_a_correlation_of_one_over_one_plus_mean_length(mean):
    """Log-normal lengths: E[1/l] = (1 + CV^2) / E l makes the ratio 1 at rho = 1 / (1 + E l), whatever the CV."""
    for cv2 in (0.1, 0.9, 4.0):
        rho = 1 / (1 + mean)
        above, below = (1 - rho) / mean + rho * (1 + cv2), (1 - rho) * (1 + cv2) / mean + rho
        assert above / below == pytest.approx(1, abs=1e-12)


def entropy_left(mu: float, rate: float, steps: int, batch: int, rng: np.random.Generator) -> float:
    """Entropy over ln 2 of a policy with two modes, always right, after steps of the positive-example loss alone."""
    logits = np.zeros((4000, 2))
    for _ in range(steps):
        p = 1 / (1 + np.exp(logits[:, 1] - logits[:, 0]))
        off = rng.binomial(batch, p) / batch - p  # minus the gradient of nll by the first logit
        logits += mu * rate * np.stack([off, -off], 1)
    p = 1 / (1 + np.exp(logits[:, 1] - logits[:, 0]))
    return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean() / np.log(2))


@pytest.mark.parametrize(("variance", "left"), [(0.05, 0.99), (1.2, 0.87), (4.7, 0.65)])
def test_r7_modes_drift_apart_at_full_success(variance, left):
    """Log-odds of two modes diffuse with variance mu^2 eta^2 steps / B (mu = 0.1, B = 64, 400 steps)."""
    rate = np.sqrt(variance * 64 / 400) / 0.1
    assert entropy_left(0.1, rate, 400, 64, np.random.default_rng(0)) == pytest.approx(left, abs=0.02)
    assert entropy_left(0.0, rate, 10, 64, np.random.default_rng(0)) == pytest.approx(1, abs=1e-12)


def test_r7_drift_is_that_of_the_packages_loss():
    """The step above is minus the gradient of nll on a batch of one-token answers, all correct."""
    logits = torch.tensor([0.3, -0.2], dtype=torch.double, requires_grad=True)
    taken = torch.tensor([0, 0, 1, 0, 1])
    logp = torch.log_softmax(logits, 0)[taken][:, None]
    ones = torch.ones(5, 1, dtype=torch.bool)
    nll(logp, ones, ones[:, 0]).backward()
    p = float(torch.softmax(logits.detach(), 0)[0])
    assert -logits.grad.numpy() == pytest.approx([3 / 5 - p, p - 3 / 5], abs=1e-12)


@pytest.mark.parametrize(("low", "high", "bound", "vacuous"), [(0.2, 0.2, 0.100, 8), (0.2, 0.28, 0.117, 7)])
def test_r8_total_variation_and_where_the_bound_is_vacuous(low, high, bound, vacuous):
    """TV <= low high / (low + high), attained by two outcomes; 2 l (l - 1) TV^2 passes 1 at l = 8 or 7."""
    tv = low * high / (low + high)
    assert tv == pytest.approx(bound, abs=5e-4)
    share = low / (low + high)  # probability of the outcomes whose ratio is 1 + high
    ratios, chances = np.array([1 + high, 1 - low]), np.array([share, 1 - share])
    assert (ratios * chances).sum() == pytest.approx(1)
    assert 0.5 * (np.abs(ratios - 1) * chances).sum() == pytest.approx(tv)
    first = next(length for length in range(2, 20) if 2 * length * (length - 1) * tv**2 > 1)
    assert first == vacuous


def test_r8_no_distribution_within_the_ratios_exceeds_it():
    rng = np.random.default_rng(1)
    for _ in range(200):
        chances = rng.dirichlet(np.ones(5))
        ratios = rng.uniform(0.8, 1.28, 5)
        scale = (ratios * chances).sum()
        ratios = ratios / scale
        if ratios.min() >= 0.8 and ratios.max() <= 1.28:
            assert 0.5 * (np.abs(ratios - 1) * chances).sum() <= 0.2 * 0.28 / 0.48 + 1e-12


def test_r8_clip_higher_raises_the_bound_by_36_percent():
    symmetric, wider = (0.2 * high / (0.2 + high) for high in (0.2, 0.28))
    assert (wider / symmetric) ** 2 - 1 == pytest.approx(0.36, abs=0.005)


def left_of_a_constant_error(sweeps: int, distance: int, lam: float) -> float:
    """Of an initial critic error of 1 everywhere, after exact regressions on lambda-targets (reward and truth are 0)."""
    mask = torch.ones(1, distance, dtype=torch.bool)
    error, zeros = torch.ones(1, distance, dtype=torch.double), torch.zeros(1, distance, dtype=torch.double)
    for _ in range(sweeps):
        error = error + gae(zeros, error, mask, lam)
    return float(error[0, 0])


@pytest.mark.parametrize(
    ("sweeps", "distance", "lam"), [(10, 200, 0.95), (3, 200, 0.95), (20, 200, 0.95), (5, 40, 0.8)]
)
def test_r9_what_warm_up_leaves_of_a_constant_error(sweeps, distance, lam):
    """P(sum of n geometric(1 - lambda) jumps < d): 0.54 at n = 10, d = 200, lambda 0.95."""
    left = left_of_a_constant_error(sweeps, distance, lam)
    assert left == pytest.approx(nbinom.cdf(distance - 1 - sweeps, sweeps, 1 - lam), abs=1e-12)
    if (sweeps, distance, lam) == (10, 200, 0.95):
        assert left == pytest.approx(0.54, abs=0.005)


def test_r9_sweeps_needed_are_distance_times_one_minus_lambda_and_one_at_lambda_one():
    """At n = d (1 - lambda) about half is left, at a third of it nearly all, at three times it hardly anything."""
    assert left_of_a_constant_error(1, 200, 1.0) == 0
    for distance, lam in ((200, 0.95), (400, 0.95), (200, 0.8)):
        needed = distance * (1 - lam)
        parts = [left_of_a_constant_error(round(needed * share), distance, lam) for share in (1 / 3, 1, 3)]
        assert parts[0] > 0.95
        assert parts[1] == pytest.approx(0.5, abs=0.07)
        assert parts[2] < 0.01


def test_r10_coverage_and_the_failure_boundary():
    """Doubling the samples moves the boundary k log(1/q) by ln 2."""

    def boundary(samples: float) -> float:
        return -np.log(1 - 0.5 ** (1 / samples))  # nats of rarity at which N samples hit with probability 1/2

    assert boundary(2e6) - boundary(1e6) == pytest.approx(np.log(2), abs=1e-6)
    p, number = 0.01, 50
    hit = np.random.default_rng(4).random((20_000, number)) < p
    assert hit.any(1).mean() == pytest.approx(1 - (1 - p) ** number, abs=0.012)
    assert 1 - (1 - p) ** number <= number * p
    waits = np.random.default_rng(5).geometric(p, 20_000)
    assert waits.mean() == pytest.approx(1 / p, rel=0.03)


def test_r10_the_positive_example_loss_is_zero_before_the_first_hit():
    logits = torch.zeros(3, requires_grad=True)
    logp = torch.log_softmax(logits, 0)[torch.tensor([0, 1])][:, None]
    loss = nll(logp, torch.ones(2, 1, dtype=torch.bool), torch.tensor([False, False]))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def blame(length: int, erring: int, lam: float, critic: torch.Tensor) -> np.ndarray:
    """|advantage| of each token of a failed response under a critic's values."""
    mask = torch.ones(1, length, dtype=torch.bool)
    return gae(torch.zeros(1, length, dtype=torch.double), critic, mask, lam)[0].abs().numpy()


def noticing(length: int, erring: int, delay: int = 0) -> torch.Tensor:
    """[1, length] values of a critic that falls from 0.5 to 0 once it has noticed the error, `delay` tokens late."""
    values = torch.full((1, length), 0.5, dtype=torch.double)
    values[0, erring + 1 + delay :] = 0.0
    return values


@pytest.mark.parametrize("length", [64, 4096, 131_072])
def test_r12_share_of_blame_inside_the_erring_step(length):
    """(1 - lam^w) / (1 - lam^(j+1)) under an exact critic; under alpha l it falls in proportion to length."""
    erring, width, lam = length // 2, 8, float(adaptive(0.5, length)[-1])
    found = blame(length, erring, lam, noticing(length, erring))
    share = found[erring - width + 1 : erring + 1].sum() / found.sum()
    assert share == pytest.approx((1 - lam**width) / (1 - lam ** (erring + 1)), rel=1e-9)
    assert found[erring + 1 :].max() < 1e-12


def test_r12_targeting_falls_with_slope_minus_one_under_vapos_rule_and_zero_under_a_constant():
    lengths = np.array([2**k for k in range(10, 18)])
    for rule, slope in ((lambda x: 1 - 1 / (0.5 * x), -1.0), (lambda x: 0.95, 0.0)):
        shares = []
        for length in lengths:
            erring = length // 2
            found = blame(length, erring, rule(length), noticing(length, erring))
            shares.append(found[erring - 7 : erring + 1].sum() / found.sum())
        assert np.polyfit(np.log(lengths), np.log(shares), 1)[0] == pytest.approx(slope, abs=0.03)


def test_r12_late_notice_leaves_the_erring_token_lambda_to_the_delay():
    length, erring, delay = 4096, 2048, 400
    lam = float(adaptive(0.5, length)[-1])
    found = blame(length, erring, lam, noticing(length, erring, delay))
    assert found[erring] / found[erring + delay] == pytest.approx(lam**delay, rel=1e-9)
    assert lam**delay == pytest.approx(np.exp(-delay / (0.5 * length)), rel=0.01)


def test_r12_blind_critic_blames_the_last_token():
    """Area under the ROC curve 0.05 for an error at 5 % of the response: far below chance."""
    length = 1000
    erring = 50
    found = blame(length, erring, 0.99, torch.full((1, length), 0.5, dtype=torch.double))
    assert found.argmax() == length - 1
    rank = rankdata(found)[erring]
    assert (rank - 1) / (length - 1) == pytest.approx(0.05, abs=0.005)


def find_the_drop(length: int, drop: float, rounds: int) -> tuple[float, float]:
    """(precision at 1, AUROC) of the most negative TD error at lambda = 0; values err by 0.1, one token falls by `drop`."""
    rng, hits, ranks = np.random.default_rng(2), 0, 0.0
    for _ in range(rounds):
        delta = np.diff(rng.normal(0, 0.1, length + 1))
        erring = rng.integers(length)
        delta[erring] -= drop
        hits += delta.argmin() == erring
        ranks += (delta > delta[erring]).sum() / (length - 1)
    return hits / rounds, ranks / rounds


@pytest.mark.parametrize(("length", "stated"), [(64, 0.82), (512, 0.69), (4096, 0.48), (32_768, 0.30)])
def test_r12_precision_falls_with_length_while_auroc_does_not_see_it(length, stated):
    """A drop of 0.5: precision at 1 falls, AUROC stays 0.99."""
    precision, auroc = find_the_drop(length, 0.5, 4000 if length <= 512 else 1500)
    assert auroc == pytest.approx(0.99, abs=0.01)
    assert precision == pytest.approx(stated, abs=0.04)


@pytest.mark.parametrize("length", [512, 4096, 32_768])
def test_r12_a_drop_is_found_from_two_sigma_root_log_length(length):
    """At D = 2 sigma sqrt(ln l) about every second one is found, at half of it hardly any, at 1.7 times it nearly all."""
    needed = 2 * 0.1 * np.sqrt(np.log(length))
    found = [find_the_drop(length, share * needed, 400)[0] for share in (0.5, 1, 1.7)]
    assert found[0] < 0.15
    assert 0.4 < found[1] < 0.8
    assert found[2] > 0.95
