"""The theory of the estimators on token trees: what reductions and losses follow (R5, R7, R8, R13)."""

import math

import numpy as np
import pytest
import torch

from tests.support.trees import SEEDS, batch_gradient, close, cosine, grow, grow_batch
from vapo_core.functional.advantages import group_relative, whiten
from vapo_core.functional.losses import nll, sequence_mean, token_mean

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
