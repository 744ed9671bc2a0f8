"""The estimators of METHODS.md section 3 and their plain rivals, each with the numbers stated there."""

import numpy as np
import pytest
import torch

from vapo_core.oracles.truth import Truth, squared_error
from vapo_core.probes.expected_gradients import product
from vapo_core.probes.policy_shift import paired_change
from vapo_core.training.metrics import pass_at_k


def test_value_error_by_the_shortcut_for_zero_and_one_is_wrong_for_minus_one_and_one():
    """V_mc (1 - V_mc) / (K - 1) reads 0.098 for a true 0.032 at K = 16; s^2 / K and (1 - V_mc^2) / (K - 1) read it."""
    rng = np.random.default_rng(0)
    v, k = rng.uniform(-0.9, 0.9, 100_000), 16
    returns = np.where(rng.random((len(v), k)) < (v[:, None] + 1) / 2, 1.0, -1.0)
    critic, mc = v + rng.normal(0, np.sqrt(0.032), len(v)), returns.mean(1)
    plain = (critic - mc) ** 2
    assert np.mean(plain - mc * (1 - mc) / (k - 1)) == pytest.approx(0.098, abs=0.001)
    assert np.mean(plain - (1 - mc**2) / (k - 1)) == pytest.approx(0.032, abs=0.001)
    nothing = np.zeros(len(v), int)
    ours = Truth(nothing, nothing, nothing + 1, critic, mc, returns.var(axis=1, ddof=1) / k)
    assert squared_error(ours) == pytest.approx(0.032, abs=0.001)


def test_absolute_error_has_no_such_correction():
    """Reads 0.093 for a true 0.068 at K = 16: V beta(1, 6.5), errors of sd 0.085."""
    rng = np.random.default_rng(1)
    v = rng.beta(1, 6.5, 200_000)
    critic, mc = v + rng.normal(0, 0.085, len(v)), rng.binomial(16, v) / 16
    assert np.abs(critic - v).mean() == pytest.approx(0.068, abs=0.001)
    assert np.abs(critic - mc).mean() == pytest.approx(0.093, abs=0.002)


def pairs(number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """([N, 2] values of two actions, 0.2 on average with gaps of sd 0.075; [N] the critic's gap, right for 64 %)."""
    gap = rng.normal(0, 0.075, number)
    seen = 0.426 * gap / 0.075 + np.sqrt(1 - 0.426**2) * rng.normal(size=number)
    return np.clip(0.2 + 0.5 * np.stack([gap, -gap], 1), 0, 1), seen


@pytest.mark.parametrize(("k", "stated"), [(4, 0.34), (16, 0.49), (64, 0.58)])
def test_ranking_accuracy_is_biased_and_the_gap_captured_is_not(k, stated):
    """Naive accuracy 0.34 / 0.49 / 0.58 for a true 0.64 (here 0.36 / 0.49 / 0.58): ties and noise count as mistakes."""
    rng = np.random.default_rng(2)
    v, seen = pairs(200_000, rng)
    truth, mc = v[:, 0] - v[:, 1], np.diff(-rng.binomial(k, v) / k)[:, 0]
    assert np.mean(np.sign(seen) == np.sign(truth)) == pytest.approx(0.64, abs=0.005)
    assert np.mean(np.sign(seen) == np.sign(mc)) == pytest.approx(stated, abs=0.02)
    whole = np.abs(truth).sum()
    captured = (np.sign(seen) * truth).sum() / whole
    assert (np.sign(seen) * mc).sum() / whole == pytest.approx(captured, abs=0.02)


def test_cosine_of_noisy_gradients_from_independent_and_equal_batches_and_without_the_noise():
    """True 0.6 at noise scale 1000, B = 500: independent 0.20, same batch 0.87, products of different responses 0.6."""
    rng = np.random.default_rng(3)
    size, batch = 500, 500
    a, b = np.zeros((2, size))
    a[0], b[:2] = 1.0, (0.6, 0.8)
    found, products = [], []
    for _ in range(60):
        noise, other = rng.normal(0, np.sqrt(1000 / size), (2, batch, size))
        mean_a, same, apart = a + noise.mean(0), b + noise.mean(0), b + other.mean(0)
        found.append([x @ mean_a / np.linalg.norm(x) / np.linalg.norm(mean_a) for x in (apart, same)])
        rows_a, rows_b = a + noise, b + noise
        products.append([product(x @ y.T) for x, y in ((rows_a, rows_b), (rows_a, rows_a), (rows_b, rows_b))])
    assert np.mean(found, axis=0) == pytest.approx([0.20, 0.87], abs=0.01)
    ab, aa, bb = np.mean(products, axis=0)
    assert ab / np.sqrt(aa * bb) == pytest.approx(0.6, abs=0.03)


def test_noise_of_a_paired_change_and_of_two_evaluations():
    """sd 0.0015 against 0.0219 for two evaluations of 1024, J = 0.43 and chi^2 = 0.0094; sqrt(chi^2 v / M) says so."""
    rng = np.random.default_rng(4)
    step, number, j = np.sqrt(np.log1p(0.0094)), 1024, 0.43
    changes, differences = [], []
    for _ in range(1000):
        hit = (rng.random(number) < j).astype(float)
        log_ratio = step * rng.normal(size=number) - step**2 / 2
        changes.append(paired_change(torch.from_numpy(log_ratio), torch.from_numpy(hit))[0])
        differences.append(np.diff(rng.binomial(number, j, 2))[0] / number)
    assert np.std(changes) == pytest.approx(0.0015, abs=0.0001)
    assert np.std(changes) == pytest.approx(np.sqrt(0.0094 * j * (1 - j) / number), rel=0.08)
    assert np.std(differences) == pytest.approx(0.0219, abs=0.0015)


@pytest.mark.parametrize(("answers", "k"), [(10, 8), (100, 64), (10_000, 256)])
def test_pass_at_k_of_a_guesser(answers, k):
    """1 - (1 - 1/|Y|)^k: 0.57, 0.47 and 0.03, which is why answer spaces must be large."""
    rng = np.random.default_rng(5)
    hits = rng.binomial(2 * k, 1 / answers, 20_000)
    mean = np.mean([pass_at_k(2 * k, int(c), k) for c in hits])
    assert mean == pytest.approx(1 - (1 - 1 / answers) ** k, abs=0.01)
    assert mean == pytest.approx({10: 0.57, 100: 0.47, 10_000: 0.03}[answers], abs=0.01)


def test_the_best_of_nine_equal_settings_looks_better_than_it_is():
    """METHODS.md section 1: by 0.47 sd with 10 seeds; on other seeds by nothing."""
    rng = np.random.default_rng(6)
    chosen, held_back = rng.normal(size=(2, 20_000, 9, 10)).mean(3)
    best = chosen.argmax(1)[:, None]
    assert np.take_along_axis(chosen, best, 1).mean() == pytest.approx(0.47, abs=0.005)
    assert np.take_along_axis(held_back, best, 1).mean() == pytest.approx(0, abs=0.01)
