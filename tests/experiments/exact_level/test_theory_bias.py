"""The theory of the estimators on token trees: bias and variance of advantages (R1-R3, R11)."""

import math
from functools import partial

import pytest
import torch

from tests.support.trees import LAMBDAS, SEEDS, close, cosine, error_like, grow, shifted
from vapo_core.components.length_adaptive_gae import on as length_adaptive
from vapo_core.functional.advantages import gae
from vapo_core.recipe import Settings

# --- the trees themselves ---


@pytest.mark.parametrize("seed", SEEDS)
def test_the_enumeration_is_complete(seed):
    """Probabilities that do not add up to 1, or a first value other than J, would void every test below."""
    tree = grow(seed, lucky=True)
    assert float(tree.probability().sum().detach()) == pytest.approx(1, abs=1e-12)
    close(tree.values()[:, 0], tree.expected_reward().detach().expand(len(tree.reward)))
    assert set(tree.lengths.int().tolist()) == {1, 2, 3, 4}
    q = tree.mean_at(tree.reward[:, None].expand(tree.mask.shape), tree.action)
    close(tree.mean_at(q, tree.prefix), tree.values())


# --- R1: bias of the lambda-advantage ---


@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_r1_exact_critic_gives_the_true_gradient_at_every_lambda(seed, lam):
    """With V exact, GAE's policy gradient must be grad J whatever lambda; an off-by-one in it would not be."""
    tree = grow(seed, lucky=True)
    close(tree.policy_gradient(tree.gae(tree.values(), lam)), tree.gradient(tree.expected_reward()))


@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_r1_bias_formula(seed, lam):
    """An error e moves A by -e_t + (1 - lambda) sum_k lambda^k e_{t+1+k}; only the second part biases the gradient."""
    tree = grow(seed)
    e, tail = error_like(tree), torch.zeros(tree.mask.shape, dtype=torch.float64)
    for t in reversed(range(tree.mask.shape[1] - 1)):
        tail[:, t] = (1 - lam) * e[:, t + 1] + lam * tail[:, t + 1]
    got, exact = tree.gae(tree.values() + e, lam), tree.gae(tree.values(), lam)
    close(got, (exact - e + tail).where(tree.mask, 0.0))
    bias = tree.policy_gradient(got) - tree.policy_gradient(exact)
    close(bias, tree.policy_gradient(tree.mean_at(tail, tree.action)))
    assert (float(bias.norm()) < 1e-12) == (lam == 1.0), "(a) no bias at lambda = 1, for any critic"


@pytest.mark.parametrize("lam", LAMBDAS[:-1])
@pytest.mark.parametrize("seed", SEEDS)
def test_r1_position_error_is_harmless_at_one_length_only(seed, lam):
    """(b) An error that depends on position alone cancels if all responses have one length, and not otherwise."""
    by_position = torch.tensor([0.3, -0.5, 0.8, 0.4], dtype=torch.float64)
    relative = {}
    for can_stop in (False, True):
        tree = grow(seed, tokens=2 if not can_stop else 3, can_stop=can_stop)
        e = by_position.expand(tree.mask.shape).where(tree.mask, 0.0)
        gradient = tree.gradient(tree.expected_reward())
        bias = tree.policy_gradient(tree.gae(tree.values() + e, lam)) - gradient
        relative[can_stop] = float(bias.norm() / gradient.norm())
    assert relative[False] < 1e-12
    assert relative[True] > 0.05


def relative_bias(tree, error, lam):
    exact = tree.gradient(tree.expected_reward())
    return float((tree.policy_gradient(tree.gae(tree.values() + error, lam)) - exact).norm() / exact.norm())


def test_r1_size_of_the_bias_of_a_position_error_at_variable_length():
    """(b) Stated 0.3 to 1.5; here the middle eight of ten trees at lambda 0.5, the error (0.3, -0.5, 0.8, 0.4)."""
    by_position = torch.tensor([0.3, -0.5, 0.8, 0.4], dtype=torch.float64)
    found = []
    for seed in range(30):
        tree = grow(seed)
        found.append(relative_bias(tree, by_position.expand(tree.mask.shape).where(tree.mask, 0.0), 0.5))
    low, high = torch.tensor(found).quantile(torch.tensor([0.1, 0.9])).tolist()
    assert (low, high) == pytest.approx((0.26, 1.46), abs=0.01)


@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_r1_fresh_noise_adds_variance_only(seed, lam):
    """(c) An error of +-0.3 drawn at every visit, all its signs enumerated: the mean stays, the second moment grows."""
    tree = grow(seed, depth=3)
    signs = torch.cartesian_prod(*[torch.tensor([-0.3, 0.3], dtype=torch.float64)] * 3)
    drawn = torch.stack([tree.gae(tree.values() + sign.where(tree.mask, 0.0), lam) for sign in signs])
    quiet = tree.gae(tree.values(), lam)
    close(drawn.mean(0), quiet)
    assert float((drawn.square().mean(0) - quiet.square())[tree.mask].min()) >= 0.3**2 - 1e-12


@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_r1_constant_error(seed, lam):
    """(e) A constant error c biases by -c sum_t E[psi_t lambda^(l-1-t)], and over-valuation lengthens responses."""
    tree, c = grow(seed), 0.4
    bias = tree.policy_gradient(tree.gae(tree.values() + c, lam)) - tree.gradient(tree.expected_reward())
    left = tree.lengths[:, None] - 1 - torch.arange(tree.mask.shape[1])
    weight = torch.pow(lam, left.clamp(min=0)).where(tree.mask, 0.0)
    close(bias, -c * tree.policy_gradient(weight.double()))
    longer = (bias * tree.gradient((tree.probability() * tree.lengths).sum())).sum()
    assert float(longer) > 0 if lam < 1 else abs(float(longer)) < 1e-12


# --- R2: credit weight ---


def first_weight(alpha, length):
    """Weight of the terminal reward on the first token under VAPO's rule and V = 0, by the package's own parts."""
    zeros = torch.zeros(1, length, dtype=torch.float64)
    rewards = zeros.clone()
    rewards[0, -1] = 1
    lam = length_adaptive(Settings(alpha=alpha))(torch.tensor([length], dtype=torch.float64))
    return float(gae(rewards, zeros, zeros == 0, lam)[0, 0])


@pytest.mark.parametrize(
    ("alpha", "length", "ratio"), [(0.05, 100, 0.12), (0.05, 400, 0.63), (0.05, 4000, 0.96), (0.4, 40, 0.98)]
)
def test_r2_credit_weight_against_its_limit(alpha, length, ratio):
    """lambda^(l-1) over exp(-1/alpha) at the lengths METHODS.md states, alpha and length together."""
    assert first_weight(alpha, length) / math.exp(-1 / alpha) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize(("alpha", "limit"), [(0.05, 2.06e-9), (0.4, 0.0821), (1.5, 0.5134)])
def test_r2_limit_is_exp_of_minus_one_over_alpha(alpha, limit):
    """The share of the reward that reaches the first token of a long answer, by alpha."""
    assert first_weight(alpha, 200_000) == pytest.approx(limit, rel=5e-3)


@pytest.mark.parametrize("alpha", [0.3, 0.4, 0.5, 1.5])
def test_r2_first_order_term(alpha):
    """The weight is exp(-1/alpha) [1 + (1/alpha)(1 - 1/(2 alpha))/l + O(1/l^2)]; at alpha = 1/2 the term vanishes."""
    term = (1 / alpha) * (1 - 1 / (2 * alpha))

    def rest(length):
        return first_weight(alpha, length) * math.exp(1 / alpha) - 1 - term / length

    assert abs(rest(500)) < 60 / 500**2
    assert rest(1000) / rest(500) == pytest.approx(0.25, abs=0.02), "what is left falls as 1/l^2"


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.5, 1.5])
def test_r2_a_fixed_share_for_the_first_token_is_the_same_rule_where_alpha_l_is_large(alpha):
    """lambda = q^(1/(l-1)), q = exp(-1/alpha): from l = 10 max(1/alpha, 1/(2 alpha^2)) on, within a tenth of VAPO's."""
    length = round(10 * max(1 / alpha, 1 / (2 * alpha**2)))
    assert first_weight(alpha, length) == pytest.approx(math.exp(-1 / alpha), rel=0.1)
    other, ours = math.exp(-1 / alpha) ** (1 / (length - 1)), 1 - 1 / (alpha * length)
    assert (1 - other) / (1 - ours) == pytest.approx(1, abs=0.11)


# --- R3: variance under an exact critic ---


@pytest.mark.parametrize("seed", SEEDS)
def test_r3_td_errors_add_up_to_the_variance_of_the_reward(seed):
    """TD errors under the exact critic are martingale differences: sum_t E[delta_t^2] = Var(R), at most 1/4."""
    tree = grow(seed, depth=5, lucky=True)
    p = tree.probability().detach()
    total = (p[:, None] * tree.gae(tree.values(), 0.0).square()).sum()
    variance = (p * (tree.reward - (p * tree.reward).sum()).square()).sum()
    close(total, variance)
    assert float(variance) <= 0.25


@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_r3_variance_of_the_advantage(seed, lam):
    """Var(A^lambda_t | s, a) = sum_{k>=1} lambda^2k E[delta_{t+k}^2] + Var(delta_t | s, a), so lambda* = 0."""
    tree = grow(seed, lucky=True)
    at = partial(tree.mean_at, what=tree.action)
    advantages, delta = tree.gae(tree.values(), lam), tree.gae(tree.values(), 0.0)
    expected, later = at(delta.square()) - at(delta).square(), delta.square()
    for k in range(1, tree.mask.shape[1]):
        later = shifted(later)
        expected = expected + lam ** (2 * k) * at(later)
    close(at(advantages.square()) - at(advantages).square(), expected)
    close(at(advantages), at(delta))  # the exact critic leaves no bias, only variance, to lambda


# --- R11: a length-adaptive lambda is not adapted ---


def adaptive(tree, alpha=0.5):
    return length_adaptive(Settings(alpha=alpha))(tree.lengths)


@pytest.mark.parametrize("seed", SEEDS)
def test_r11_adaptive_lambda_is_biased_by_a_covariance(seed):
    """With an exact critic the bias is sum_k Cov(lambda(l)^k, delta_{t+k} | s_t, a_t), and not zero."""
    tree = grow(seed, depth=5)
    lam, delta, exact = adaptive(tree), tree.gae(tree.values(), 0.0), tree.gradient(tree.expected_reward())
    at = partial(tree.mean_at, what=tree.action)
    covariance, later = torch.zeros_like(delta), delta
    for k in range(1, tree.mask.shape[1]):
        later, power = shifted(later), (lam**k)[:, None].expand(delta.shape)
        covariance = covariance + at(power * later) - at(power) * at(later)
    bias = tree.policy_gradient(tree.gae(tree.values(), lam)) - exact
    close(bias, tree.policy_gradient(covariance))
    assert float(bias.norm() / exact.norm()) > 0.005


def test_r11_size_and_direction_of_the_bias():
    """Stated 0.13 on average, up to 0.26, cosine to grad E[l] -0.83 / +0.82; here 60 trees of at most 6 tokens, R a share
    0.7 of l/6 (or of 1 - l/6) and 0.3 of noise: 0.10, up to 0.245, and -0.82 / +0.82."""
    size, direction = {-1: [], 1: []}, {-1: [], 1: []}
    for seed in range(60):
        tree, sign = grow(seed, depth=6), 1 if seed % 2 else -1
        along = tree.lengths / 6 if sign > 0 else 1 - tree.lengths / 6
        tree.reward = 0.7 * along + 0.3 * tree.reward
        exact = tree.gradient(tree.expected_reward())
        bias = tree.policy_gradient(tree.gae(tree.values(), adaptive(tree))) - exact
        size[sign].append(float(bias.norm() / exact.norm()))
        direction[sign].append(cosine(bias, tree.gradient((tree.probability() * tree.lengths).sum())))
    everything = size[-1] + size[1]
    assert (sum(everything) / 60, max(everything)) == pytest.approx((0.10, 0.245), abs=0.005)
    assert [sum(direction[sign]) / 30 for sign in (-1, 1)] == pytest.approx([-0.82, 0.82], abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_r11_no_bias_at_fixed_length(seed):
    """If all responses have one length, the adaptive lambda is a constant and harmless with an exact critic."""
    tree = grow(seed, tokens=2, can_stop=False)
    got = tree.policy_gradient(tree.gae(tree.values(), adaptive(tree)))
    close(got, tree.gradient(tree.expected_reward()))


@pytest.mark.parametrize("seed", SEEDS)
def test_r11_no_bias_if_lambda_comes_from_another_answer(seed):
    """A lambda from the length of an independent answer to the prompt leaves grad J: the proposed control arm."""
    tree = grow(seed)
    p, lam = tree.probability().detach(), adaptive(tree)
    mixed = sum(weight * tree.gae(tree.values(), float(one)) for weight, one in zip(p, lam, strict=True))
    close(tree.policy_gradient(mixed), tree.gradient(tree.expected_reward()))
