"""R1(d), R3, R4 and the raw-MSE example of METHODS.md section 0 on a random walk of 32 to 1024 fair steps, R = 1 if it ends
above 0 (1/2 on a tie).

Advantages are taken per state and action, as R4 does: MSE(h) = E[(bias of A_hat's contrast)^2] + Var(A_hat | s, a) / n,
weighted by how often a state is met. That is quadratic in the TD errors, so it is exact for a given critic.
"""

from functools import cache

import numpy as np
import pytest

from vapo_core.oracles.tabular import TabularMDP, constant_lambda

LENGTHS = (32, 64, 128, 256, 512, 1024)
HORIZONS = np.geomspace(1, 400, 41)


@cache
def walk(length: int) -> TabularMDP:
    """A situation is the number of steps up so far."""
    ups = np.arange(length + 1)
    shape = (length, length + 1, 2)
    after = np.broadcast_to(np.stack([ups, np.minimum(ups + 1, length)], 1), shape).copy()
    ends = np.zeros(shape, bool)
    ends[-1] = True
    reward = np.where(ends, (2 * after > length) + 0.5 * (2 * after == length), 0.0)
    return TabularMDP(after, ends, reward, np.full(shape, 0.5), (ups == 0).astype(float))


def bias_and_variance(mdp: TabularMDP, critic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both [H], mean per token: squared error of A_hat's mean, centred over the actions, and Var(A_hat | s, a)."""
    length, situations, _ = mdp.shape
    lam, delta = (1 - 1 / HORIZONS)[:, None, None], mdp.td_errors(critic)
    truth = mdp.action_values - mdp.values[:-1][:, :, None]
    mean_next, var_next = np.zeros((2, len(HORIZONS), situations))
    bias, spread = np.zeros((2, len(HORIZONS)))
    for t in reversed(range(length)):
        here = slice(t + 1)  # no more ups than steps
        go_on = lam * float(t + 1 < length)
        to = mdp.next[t, here]
        mean, variance = delta[t, here] + go_on * mean_next[:, to], go_on**2 * var_next[:, to]
        centre = mean.mean(2, keepdims=True)
        weight = mdp.occupancy[t, here, None] / 2
        bias += (weight * (mean - centre - truth[t, here]) ** 2).sum((1, 2))
        spread += (weight * variance).sum((1, 2))
        mean_next[:, here], var_next[:, here] = centre[:, :, 0], (variance + (mean - centre) ** 2).mean(2)
    return bias / length, spread / length


def best_horizon(curve: np.ndarray) -> float:
    """Where a curve over `HORIZONS` is least, by a parabola through the three lowest points."""
    i = int(curve.argmin())
    if i in (0, len(curve) - 1):
        return float(HORIZONS[i])
    a, b, _ = np.polyfit(np.log(HORIZONS[i - 1 : i + 2]), curve[i - 1 : i + 2], 2)
    return float(np.exp(-b / (2 * a)))


def slope(lengths, horizons) -> float:
    return float(np.polyfit(np.log(lengths), np.log(horizons), 1)[0])


def independent(length: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(length, length + 1))


def persisting(length: int, rng: np.random.Generator) -> np.ndarray:
    """One error per block of l/16 tokens and as many steps up or down as the walk moves meanwhile, sqrt(l/16)."""
    reach = length // 16
    width = 2 * max(1, round(reach**0.5))
    position = 2 * np.arange(length + 1) - np.arange(length)[:, None] + length
    return rng.normal(size=(17, 3 * length // width + 1))[np.arange(length)[:, None] // reach, position // width]


@cache
def curves(error, sigma: float, length: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Bias and variance [H], mean over draws of the error."""
    found = []
    for draw in range(draws):
        critic = walk(length).values.copy()
        critic[:-1] += sigma * error(length, np.random.default_rng([length, draw]))
        found.append(bias_and_variance(walk(length), critic))
    bias, spread = np.mean(found, axis=0)
    return bias, spread


def found_slope(error, sigma: float, samples: int, lengths=LENGTHS, draws: int = 1) -> float:
    both = [curves(error, sigma, length, draws) for length in lengths]
    return slope(lengths, [best_horizon(bias + spread / samples) for bias, spread in both])


def test_bias_and_variance_are_those_of_the_moments():
    """Both, weighted by occupancy, must give the exact gradient's bias and second moment (|psi|^2 = 1/2)."""
    mdp = walk(16)
    critic = mdp.values.copy()
    critic[:-1] += 0.2 * independent(16, np.random.default_rng(0))
    weight = mdp.occupancy[:, :, None] * mdp.policy
    bias, spread = bias_and_variance(mdp, critic)
    exact_spread = bias_and_variance(mdp, mdp.values)[1]
    truth = mdp.action_values - mdp.values[:-1][:, :, None]
    for i in (0, 20, 40):
        lam = 1 - 1 / HORIZONS[i]
        off = constant_lambda(mdp, critic, lam).mean - mdp.gradient
        relative = np.divide(off, weight, where=weight > 0, out=np.zeros_like(weight))
        assert (weight * relative**2).sum() / 16 == pytest.approx(bias[i], rel=1e-9)
        square = 0.5 * ((weight * truth**2).sum() + 16 * exact_spread[i])
        assert constant_lambda(mdp, mdp.values, lam).square == pytest.approx(square, rel=1e-9)
    assert spread[-1] == pytest.approx(exact_spread[-1], rel=0.2)  # a far horizon leaves nothing of the error


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "slopes"), [(64, (0.35, 0.35, 0.32)), (1, (0.26, 0.37, 0.48))])
def test_r4_slope_for_an_independent_error_is_about_a_third(samples, slopes):
    """Stated 0.34 .. 0.39 (n = 64) and 0.26 .. 0.48 (n = 1); here at sigma 0.05, 0.1, 0.3, mean MSE of four errors."""
    found = [found_slope(independent, sigma, samples, draws=4) for sigma in (0.05, 0.1, 0.3)]
    assert found == pytest.approx(slopes, abs=0.015)


@pytest.mark.slow
def test_r4_slope_for_an_error_that_persists_over_a_share_of_the_response():
    """Stated 0.55 at n = 64 and 0.0 at n = 1; here 0.52 (sigma 0.3) and 0.03 (sigma 0.1)."""
    assert found_slope(persisting, 0.3, 64, draws=4) == pytest.approx(0.52, abs=0.02)
    assert found_slope(persisting, 0.1, 1, draws=4) == pytest.approx(0.03, abs=0.03)


def test_r4_slope_on_short_walks():
    """The same on 32 .. 256, where it takes no time."""
    assert 0.30 < found_slope(independent, 0.1, 64, LENGTHS[:4]) < 0.36
    assert found_slope(persisting, 0.2, 64, LENGTHS[:4]) > 0.42


def test_raw_mse_shortens_the_horizon_of_a_shrunken_critic_and_quality_does_not():
    """METHODS.md section 0, V_hat = V - 0.5 (V - 0.5), 64 samples: raw MSE falls with l, Q is best at 1 for every l.

    Stated: 9.7 at l = 32 to 1.0 at 1024, slope -0.6. Here: 17.2 to 5.7 at 512 per state and action, slope -0.5; of the
    whole gradient 1.4 to 1.0.
    """
    lengths, per_action = (32, 64, 128, 256, 512), []
    for length in lengths:
        mdp, critic = walk(length), walk(length).values.copy()
        critic[:-1] -= 0.5 * (critic[:-1] - 0.5)
        bias, spread = bias_and_variance(mdp, critic)
        per_action.append(best_horizon(bias + spread / 64))
        if length <= 128:
            quality = [constant_lambda(mdp, critic, 1 - 1 / h).quality(mdp.gradient, 64) for h in HORIZONS[:20:3]]
            assert quality == sorted(quality, reverse=True)
            assert bias[0] > 0.2 * bias[-1]
    assert per_action[0] == pytest.approx(17.2, abs=0.5)
    assert per_action[-1] == pytest.approx(5.7, abs=0.3)
    assert slope(lengths[1:], per_action[1:]) == pytest.approx(-0.5, abs=0.1)


def test_r1_relative_bias_of_a_frozen_error_of_a_tenth():
    """Stated 4.2, 1.8, 0.39, 0 at lambda = 0, 0.5, 0.9, 1; here, on 512 steps, the numbers below."""
    mdp = walk(512)
    critic = mdp.values.copy()
    critic[:-1] += 0.1 * independent(512, np.random.default_rng(0))
    bias = [constant_lambda(mdp, critic, lam).bias(mdp.gradient) for lam in (0.0, 0.5, 0.9, 1.0)]
    assert bias == pytest.approx([3.1, 1.6, 0.36, 0.0], rel=0.1, abs=1e-9)


@pytest.mark.parametrize("length", [8, 64, 512])
@pytest.mark.parametrize("batch", [1, 64, 10_000])
def test_r3_an_exact_critic_wants_lambda_zero_at_every_length_and_batch(length, batch):
    """And its TD errors add up to Var(R), 1/4 here but for ties."""
    mdp = walk(length)
    quality = [constant_lambda(mdp, mdp.values, lam).quality(mdp.gradient, batch) for lam in (0.0, 0.5, 0.9, 1.0)]
    assert quality == sorted(quality, reverse=True)
    total = (mdp.occupancy[:, :, None] / 2 * mdp.td_errors(mdp.values) ** 2).sum()
    assert total == pytest.approx(mdp.return_variance, rel=1e-9)
    assert total <= 0.25
