"""The theory of METHODS.md (R1-R3, R5, R7, R11, R13) on small token trees, every complete response enumerated.

A tree is all prefixes over a small vocabulary in which token 0 stops; each prefix has logits of its own, so the
gradient of the expected reward is exact. All estimators are the package's own, fed with the enumerated responses.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from vapo_core.advantages import gae, group_relative, whiten
from vapo_core.components.length_adaptive_gae import on as length_adaptive
from vapo_core.losses import clipped_surrogate, nll, sequence_mean, token_mean
from vapo_core.recipe import Settings

SEEDS = range(4)
LAMBDAS = (0.0, 0.5, 0.9, 1.0)


@dataclass
class Tree:
    """N outcomes (complete response and reward) of one prompt, at most D tokens long; S prefixes, K tokens."""

    logits: Tensor
    """[S, K], one row of parameters per prefix."""
    prefix: Tensor
    """[N, D] prefix before each token."""
    token: Tensor
    """[N, D]."""
    mask: Tensor
    """[N, D]."""
    reward: Tensor
    """[N] in [0, 1]."""
    luck: Tensor
    """[N] probability of the reward given the response."""

    def logp(self):
        rows = torch.log_softmax(self.logits, -1)[self.prefix, self.token]
        return rows.where(self.mask, 0.0)

    def probability(self):
        return self.luck * self.logp().sum(1).exp()

    def expected_reward(self):
        return (self.probability() * self.reward).sum()

    @property
    def lengths(self):
        return self.mask.sum(1).double()

    def mean_at(self, x, what):
        """E[x | what] for every token, x and what [N, D]: the mean over outcomes that share the label `what`."""
        weight = (self.probability().detach()[:, None] * self.mask).flatten()
        label = what.flatten()
        total = torch.zeros(int(label.max()) + 1, dtype=torch.float64)
        mean = total.index_add(0, label, weight * x.flatten()) / total.index_add(0, label, weight)
        return mean[what].where(self.mask, 0.0)

    def values(self):
        """[N, D] exact V of the prefix before each token."""
        return self.mean_at(self.reward[:, None].expand(self.mask.shape), self.prefix)

    @property
    def action(self):
        """[N, D] a label for (prefix, token)."""
        return self.prefix * self.logits.shape[1] + self.token

    def rewards(self):
        """[N, D] the reward on the last token."""
        last = self.mask & ~torch.nn.functional.pad(self.mask[:, 1:], (0, 1))
        return self.reward[:, None] * last

    def gae(self, values, lam):
        return gae(self.rewards(), values, self.mask, lam)

    def gradient(self, x):
        """[S, K] gradient of a scalar."""
        return torch.autograd.grad(x, self.logits)[0]

    def policy_gradient(self, advantages):
        """sum_t E[psi_t A_t]."""
        return self.gradient((self.probability().detach()[:, None] * self.logp() * advantages).sum())


def grow(seed, tokens=3, depth=4, can_stop=True, lucky=False):
    """A random tree: logits N(0, 1), rewards uniform; with `lucky` each response has two rewards at odds of its own."""
    generator = torch.Generator().manual_seed(seed)
    prefixes, responses, frontier = {}, [], [()]
    while frontier:
        here = frontier.pop(0)
        prefixes[here] = len(prefixes)
        for token in range(tokens):
            after = (*here, token)
            ended = len(after) == depth or (can_stop and token == 0)
            (responses if ended else frontier).append(after)
    prefix, token = torch.zeros(2, len(responses), depth, dtype=torch.long)
    mask = torch.zeros(len(responses), depth, dtype=torch.bool)
    for i, response in enumerate(responses):
        for t, chosen in enumerate(response):
            prefix[i, t], token[i, t], mask[i, t] = prefixes[response[:t]], chosen, True
    logits = torch.randn(len(prefixes), tokens, generator=generator, dtype=torch.float64).requires_grad_()
    share = torch.rand(len(responses), generator=generator, dtype=torch.float64) if lucky else None
    luck = torch.ones(len(responses), dtype=torch.float64) if share is None else torch.cat([share, 1 - share])
    again = 1 if share is None else 2
    reward = torch.rand(again * len(responses), generator=generator, dtype=torch.float64)
    return Tree(logits, *(x.repeat(again, 1) for x in (prefix, token, mask)), reward, luck)


def grow_batch(seed, binary=False, depth=4):
    """A tree and a finite batch that holds every response exactly as often as the policy expects.

    Counts are drawn and the policy is set to them, so that batch means are exact expectations and the package's
    reductions, which divide by what the batch holds, can be compared with gradients of J without sampling noise.
    """
    tree = grow(seed, depth=depth)
    counts = torch.randint(1, 5, (len(tree.reward),), generator=torch.Generator().manual_seed(seed + 100))
    visits = torch.zeros(tree.logits.shape, dtype=torch.float64)
    visits.view(-1).index_add_(0, tree.action.flatten(), (tree.mask * counts[:, None]).double().flatten())
    tree.logits = visits.log().requires_grad_()
    if binary:
        tree.reward = (tree.reward > 0.6).double()
    copies = torch.arange(len(counts)).repeat_interleave(counts)
    batch = Tree(tree.logits, *(x[copies] for x in (tree.prefix, tree.token, tree.mask, tree.reward, tree.luck)))
    torch.testing.assert_close(tree.probability().detach()[copies], counts[copies] / counts.sum().double())
    return tree, batch


def batch_gradient(batch, reduce, baseline=0.0):
    """Minus the gradient of the package's surrogate at ratio 1, lambda 1 and a constant baseline, over the batch."""
    advantages = batch.gae(torch.full(batch.mask.shape, baseline, dtype=torch.float64), 1.0)
    logp = batch.logp()
    loss = clipped_surrogate((logp - logp.detach()).exp(), advantages, 0.2, 0.28)
    return -batch.gradient(reduce(loss, batch.mask))


def error_like(tree, seed=7):
    """[N, D] a frozen error per prefix."""
    noise = torch.randn(len(tree.logits), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise[tree.prefix].where(tree.mask, 0.0)


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def shifted(x):
    """x one token later, 0 after the last."""
    return torch.nn.functional.pad(x[:, 1:], (0, 1))


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


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


# --- R5: reductions ---


@pytest.mark.parametrize("seed", SEEDS)
def test_r5_token_mean_is_sequence_mean_plus_a_covariance(seed):
    """token mean = mean of m_i + Cov(l_i, m_i) / mean l, exactly, on any batch."""
    generator = torch.Generator().manual_seed(seed)
    loss = torch.randn(9, 8, generator=generator, dtype=torch.float64)
    mask = torch.arange(8) < torch.randint(1, 9, (9, 1), generator=generator)
    length, m = mask.sum(1).double(), (loss * mask).sum(1) / mask.sum(1)
    covariance = (length * m).mean() - length.mean() * m.mean()
    close(sequence_mean(loss, mask), m.mean())
    close(token_mean(loss, mask), m.mean() + covariance / length.mean())


@pytest.mark.parametrize("baseline", [0.0, 0.5, -0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_r5_token_mean_follows_the_true_gradient(seed, baseline):
    """At lambda = 1 the token mean's gradient is grad J / E[l], whatever constant is subtracted."""
    tree, batch = grow_batch(seed)
    mean_length = (tree.probability() * tree.lengths).sum().detach()
    close(batch_gradient(batch, token_mean, baseline), tree.gradient(tree.expected_reward()) / mean_length)


@pytest.mark.parametrize("seed", SEEDS)
def test_r5_sequence_mean_follows_reward_per_token(seed):
    """At lambda = 1 without a baseline the sequence mean's gradient is grad E[R/l], another objective than J."""
    tree, batch = grow_batch(seed)
    got = batch_gradient(batch, sequence_mean)
    close(got, tree.gradient((tree.probability() * tree.reward / tree.lengths).sum()))
    assert cosine(got, tree.gradient(tree.expected_reward())) < 0.99


@pytest.mark.parametrize("baseline", [0.5, -0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_r5_a_baseline_turns_the_sequence_mean(seed, baseline):
    """A constant baseline c adds -c grad E[1/l] under the sequence mean: a pressure on length."""
    tree, batch = grow_batch(seed)
    pressure = tree.gradient((tree.probability() / tree.lengths).sum())
    turned, straight = batch_gradient(batch, sequence_mean, baseline), batch_gradient(batch, sequence_mean)
    close(turned - straight, -baseline * pressure)
    assert cosine(turned, straight) < 0.99
    close(batch_gradient(batch, token_mean, baseline), batch_gradient(batch, token_mean))


def test_r5_cosines_of_the_sequence_mean_with_a_baseline():
    """Stated 0.93 with V as baseline, -0.54 and 0.82 with 0.5 added or taken away; here 0.95, -0.56, 0.77 on one tree.

    The token mean's numerator is grad J with any of them.
    """
    tree = grow(1, tokens=2, depth=5)
    exact, cosines = tree.gradient(tree.expected_reward()), []
    for shift in (0.0, 0.5, -0.5):
        advantages = (tree.reward[:, None] - tree.values() - shift).where(tree.mask, 0.0)
        cosines.append(cosine(tree.policy_gradient(advantages / tree.lengths[:, None]), exact))
        assert cosine(tree.policy_gradient(advantages), exact) == pytest.approx(1, abs=1e-12)
    assert cosines == pytest.approx([0.945, -0.559, 0.768], abs=0.001)


@pytest.mark.parametrize("seed", SEEDS)
def test_r5_whitening_is_neutral_under_token_mean_only(seed):
    """Whitening subtracts a mean over tokens: harmless under the token mean, a pressure on length under the other."""
    _, batch = grow_batch(seed)
    advantages = whiten(batch.gae(torch.zeros(batch.mask.shape, dtype=torch.float64), 1.0), batch.mask)
    towards = {
        reduce: cosine(batch.gradient(reduce(batch.logp() * advantages, batch.mask)), batch_gradient(batch, reduce))
        for reduce in (token_mean, sequence_mean)
    }
    assert towards[token_mean] == pytest.approx(1, abs=1e-12)
    assert towards[sequence_mean] < 0.99


@pytest.mark.parametrize("seed", SEEDS)
def test_r5_equal_lengths_leave_nothing_to_choose(seed):
    """If all responses have one length both reductions are grad J / l."""
    tree = grow(seed, tokens=2, can_stop=False)
    weight = tree.probability().detach()[:, None] * len(tree.reward)
    loss = weight * tree.logp() * tree.gae(tree.values(), 1.0)
    want = tree.gradient(tree.expected_reward()) / 4
    for reduce in (token_mean, sequence_mean):
        close(torch.autograd.grad(reduce(loss, tree.mask), tree.logits, retain_graph=True)[0], want)


# --- R7: the positive-example loss ---


@pytest.mark.parametrize("seed", SEEDS)
def test_r7_positive_example_loss_is_parallel_to_the_true_gradient(seed):
    """E[R sum psi] = grad J: on policy the loss changes speed, not path."""
    tree = grow(seed, lucky=True)
    summed = tree.policy_gradient(tree.reward[:, None] * tree.mask)
    close(summed, tree.gradient(tree.expected_reward()))
    assert cosine(summed, tree.gradient(tree.expected_reward())) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_r7_weight_of_the_positive_example_loss(seed):
    """With 0/1 rewards -grad nll = grad J / E[R l], so it weighs mu E[l]/E[R l] beside the token-mean policy loss."""
    tree, batch = grow_batch(seed, binary=True)
    assert 0 < float(tree.reward.mean()) < 1
    got = -batch.gradient(nll(batch.logp(), batch.mask, batch.reward == 1))
    p = tree.probability().detach()
    close(got, tree.gradient(tree.expected_reward()) / (p * tree.reward * tree.lengths).sum())
    speed = float(got.norm() / batch_gradient(batch, token_mean).norm())
    assert speed == pytest.approx(float((p * tree.lengths).sum() / (p * tree.reward * tree.lengths).sum()))


def mode_share_by_success(seed, mu, rate):
    """Share of the leading mode among correct responses at nine J up to 0.95 along the expected gradient; rate * steps.

    Correct are the responses that begin with a probability below 0.06.
    """
    tree, path = grow(seed, depth=3), []
    tree.reward = (tree.probability() < 0.06).double().detach()
    right = tree.reward[:, None] * tree.mask
    while not path or path[-1][0] < 0.95:
        p = tree.probability().detach()
        policy = tree.policy_gradient(tree.gae(tree.values(), 1.0)) / (p * tree.lengths).sum()
        positive = tree.policy_gradient(right) / (p * tree.reward * tree.lengths).sum()
        j = (p * tree.reward).sum()
        path.append((float(j), float((p * tree.reward).max() / j)))
        tree.logits = (tree.logits + rate * (policy + mu * positive)).detach().requires_grad_()
    reached, share = np.array(path).T
    return np.interp(np.linspace(reached[0], 0.95, 9), reached, share), rate * len(path)


def test_r7_the_loss_changes_speed_and_not_path():
    """Share of the leading mode as a function of J equal to 0.1 % for mu = 0, 0.1, 1, at steps small enough."""
    without, time = mode_share_by_success(0, 0.0, 0.1)
    assert without[-1] > 1.5 * without[0]
    for mu, rate, faster in ((0.1, 0.1, 1.1), (1.0, 0.03, 2.0)):
        share, sooner = mode_share_by_success(0, mu, rate)
        np.testing.assert_allclose(share, without, rtol=1e-3)
        assert time > faster * sooner


# --- R8: trust region ---


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (0.2, 0.28)])
@pytest.mark.parametrize("seed", SEEDS)
def test_r8_surrogate_error_stays_below_its_bound(seed, low, high):
    """|J_new - J - E sum_t (ratio_t - 1) A_t| <= 2 l (l - 1) TV^2 max|A| for the widest move along a random direction.

    It is of second order: of a move a tenth as long, hardly more than a hundredth.
    """
    tree = grow(seed, tokens=2, can_stop=False)
    start, old, old_logp = tree.logits.detach().clone(), tree.probability().detach(), tree.logp().detach()
    reward = tree.reward[:, None].expand(tree.mask.shape)
    advantages = tree.mean_at(reward, tree.action) - tree.values()
    direction = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def move(size):
        """(Every ratio is within the clip, |error of the surrogate|)."""
        tree.logits = start + size * direction
        ratio = (tree.logp() - old_logp).exp()
        surrogate = (old[:, None] * (ratio - 1) * advantages).sum()
        inside = (ratio >= 1 - low) & (ratio <= 1 + high)
        return bool(inside.all()), abs(float(((tree.probability() - old) * tree.reward).sum() - surrogate))

    widest = max(size for size in torch.linspace(0, 2, 401).tolist() if move(size)[0])
    _, error = move(widest)
    tv = low * high / (low + high)
    assert 0 < error <= 2 * 4 * 3 * tv**2 * float(advantages.abs().max())
    assert move(widest / 10)[1] < error / 30


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


# --- R13: what group-relative advantages follow ---


@pytest.mark.parametrize(("answers", "factor"), [(4, 0.67), (8, 0.84), (16, 0.94)])
def test_r13_group_relative_follows_the_arcsine(answers, factor):
    """GRPO's expected gradient tends to grad 2 arcsin(sqrt p), slope 1/sqrt(p(1-p)), from below as the group grows.

    METHODS.md's factors are for a standard deviation with n; the package's has n - 1, smaller by sqrt((n - 1)/n).
    """
    p, gradient = 0.2, 0.0
    for hits in range(answers + 1):
        rewards = (torch.arange(answers) < hits).double()
        score = (rewards - p) / (p * (1 - p))
        advantages = group_relative(rewards, torch.zeros(answers).long(), epsilon=1e-12)
        gradient += (
            math.comb(answers, hits) * p**hits * (1 - p) ** (answers - hits) * float((score * advantages).mean())
        )
    against_limit = gradient * math.sqrt(p * (1 - p))
    assert against_limit * math.sqrt(answers / (answers - 1)) == pytest.approx(factor, abs=0.008)
    assert against_limit == pytest.approx({4: 0.574, 8: 0.788, 16: 0.909}[answers], abs=0.001)


def test_r13_group_standard_deviation_weighs_problems_otherwise_than_j():
    """Problems solved with p = 0.05, 0.5, 0.9: by their log-odds, grad J is p(1-p) and GRPO's limit the root of it."""
    p = torch.tensor([0.05, 0.5, 0.9], dtype=torch.float64)
    logits = torch.logit(p).requires_grad_()
    limit = (2 * torch.asin(torch.sigmoid(logits).sqrt())).sum()
    ours, theirs = (torch.autograd.grad(x, logits)[0] for x in (torch.sigmoid(logits).sum(), limit))
    close(theirs, (p * (1 - p)).sqrt())
    assert cosine(ours, theirs) == pytest.approx(0.966, abs=0.001)
