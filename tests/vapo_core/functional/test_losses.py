"""Losses and reductions against hand numbers and enumeration."""

import itertools
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vapo_core.functional.losses import (
    clipped_surrogate,
    constant_mean,
    kl_k3,
    linear_weights,
    nll,
    sequence_mean,
    token_mean,
    value_loss,
)
from vapo_core.training.metrics import pass_at_k

E = math.e
UNEQUAL = torch.tensor([[1.0, 0], [3, 3]], dtype=torch.float64)
UNEQUAL_MASK = torch.tensor([[True, False], [True, True]])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


# --- the clip ---


def test_the_four_corners_of_the_clip():
    """A maximum for the minimum, or swapped bounds, changes one of the four corners at 0.2 / 0.28."""
    ratio, advantage = double([E, 1 / E, E, 1 / E]), double([1.0, 1, -1, -1])
    torch.testing.assert_close(clipped_surrogate(ratio, advantage, 0.2, 0.28), double([-1.28, -1 / E, E, 0.8]))


def test_the_clip_removes_gradients_in_two_corners_only():
    """Only tokens already pushed past the bound in the direction of their advantage lose their gradient."""
    ratio = double([E, 1 / E, E, 1 / E]).requires_grad_()
    clipped_surrogate(ratio, double([1.0, 1, -1, -1]), 0.2, 0.28).sum().backward()
    assert ratio.grad.tolist() == [[0, -1, 1, 0]]


def test_bounds_may_differ_per_token():
    """Bounds given as [B, T] must apply to their own token (the variant above_threshold relies on it)."""
    got = clipped_surrogate(
        double([2.0, 2, 0.1]), double([1.0, 1, -1]), double([0.2, 0.2, 0.4]), double([0.28, 0.2, 0])
    )
    torch.testing.assert_close(got, double([-1.28, -1.2, 0.6]))


def test_at_ratio_one_the_surrogate_is_minus_the_advantage():
    """At the first mini-batch all ratios are 1 and both clips must be inert."""
    advantage = torch.randn(3, 4, dtype=torch.float64)
    ratio = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    loss = clipped_surrogate(ratio, advantage, 0.2, 0.28)
    torch.testing.assert_close(loss, -advantage)
    (gradient,) = torch.autograd.grad(loss.sum(), ratio)
    torch.testing.assert_close(gradient, -advantage)


# --- reductions ---


def test_token_mean_and_sequence_mean_by_hand():
    """Losses [1] and [3, 3]: every token alike gives 7/3, every response alike gives 2."""
    assert float(token_mean(UNEQUAL, UNEQUAL_MASK)) == pytest.approx(7 / 3, abs=1e-15)
    assert float(sequence_mean(UNEQUAL, UNEQUAL_MASK)) == 2.0
    assert float(constant_mean(UNEQUAL, UNEQUAL_MASK, 10)) == pytest.approx(7 / 20, abs=1e-15)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_two_means_agree_when_all_lengths_agree(responses, length, seed):
    """With equal lengths the token-level component must be exactly inert, wherever the padding stands."""
    generator = torch.Generator().manual_seed(seed)
    loss = torch.randn(responses, length + 3, generator=generator, dtype=torch.float64)
    mask = torch.rand(responses, length + 3, generator=generator).argsort(1) < length
    torch.testing.assert_close(token_mean(loss, mask), sequence_mean(loss, mask))
    torch.testing.assert_close(token_mean(loss, mask), constant_mean(loss, mask, length))


@pytest.mark.parametrize("reduce", [token_mean, sequence_mean, lambda x, m: constant_mean(x, m, 7)])
def test_reductions_ignore_masked_garbage(reduce):
    """NaN or 999 on padding must not reach a loss."""
    dirty = UNEQUAL.clone()
    dirty[0, 1] = float("nan")
    assert float(reduce(dirty, UNEQUAL_MASK)) == float(reduce(UNEQUAL, UNEQUAL_MASK))


def test_nll_by_hand():
    """The mean runs over tokens of correct answers only: (1 + 2 + 5) / 3, not per response and not over the batch."""
    logp = double([-1.0, -2, -999], [-7, -7, -7], [-5, -999, -999])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0]]).bool()
    assert float(nll(logp, mask, torch.tensor([True, False, True]))) == pytest.approx(8 / 3, abs=1e-15)


def test_nll_without_a_correct_answer_is_zero():
    """Before the first hit the positive-example loss is 0, not 0/0."""
    assert float(nll(double([-1.0, -2]), torch.ones(1, 2).bool(), torch.tensor([False]))) == 0.0


# --- value loss ---


@pytest.mark.parametrize(
    ("value", "old", "target", "expected"),
    [
        (2.0, 1.0, 0.0, 2.0),  # moved away from the target beyond the clip: the worse, unclipped error counts
        (2.0, 1.0, 3.0, 1.62),  # moved towards it beyond the clip: the clipped value 1.2 is the worse, 0.5 * 1.8^2
        (0.0, 1.0, 3.0, 4.5),  # moved away, downwards
        (0.0, 1.0, -3.0, 7.22),  # moved towards it, downwards: clipped value 0.8, 0.5 * 3.8^2
        (1.1, 1.0, 3.0, 1.805),  # within the clip: plain squared error
    ],
)
def test_the_corners_of_the_value_clip(value, old, target, expected):
    """A minimum for the maximum, a clip around 0 or a missing factor 1/2 changes one of these."""
    got = value_loss(double([value]), double([old]), double([target]), 0.2)
    torch.testing.assert_close(got, double([expected]))


def test_an_infinite_value_clip_is_the_squared_error():
    """The default must neither clip nor produce NaN; its gradient is V - R."""
    values = double([2.0, -1]).requires_grad_()
    loss = value_loss(values, double([50.0, 3]), double([1.0, 1]))
    torch.testing.assert_close(loss, double([0.5, 2.0]))
    (gradient,) = torch.autograd.grad(loss.sum(), values)
    torch.testing.assert_close(gradient, double([1.0, -2.0]))


# --- KL ---


def test_kl_k3_by_hand():
    """d = log ref - log pi = ln 2 gives 2 - ln 2 - 1; the reversed sign would give 1/2 + ln 2 - 1."""
    got = kl_k3(double([math.log(0.25)]), double([math.log(0.5)]))
    torch.testing.assert_close(got, double([1 - math.log(2)]))


@given(st.floats(-20, 0), st.floats(-20, 0))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_kl_k3_is_never_negative(a, b):
    """k3 is non-negative token by token, which k1 is not."""
    assert float(kl_k3(double([a]), double([b]))) >= 0


def test_kl_k3_is_unbiased_under_the_policy():
    """Averaged over the policy's own samples it must be KL(pi || ref), and not KL(ref || pi)."""
    pi, ref = double([0.7, 0.2, 0.1]), double([0.1, 0.3, 0.6])
    kl = (pi * (pi / ref).log()).sum()
    torch.testing.assert_close((pi * kl_k3(pi.log(), ref.log())).sum(), kl)


# --- weights of a linear reduction ---


@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: token_mean(x, UNEQUAL_MASK),
        lambda x: sequence_mean(x, UNEQUAL_MASK),
        lambda x: constant_mean(x, UNEQUAL_MASK, 10),
        lambda x: 0.1 * nll(x, UNEQUAL_MASK, torch.tensor([False, True])),
    ],
    ids=["token", "sequence", "constant", "nll"],
)
def test_linear_weights_are_the_reduction(reduce):
    """Micro-batches add up only if sum(w x) is the reduction at every x."""
    weights = linear_weights(reduce, UNEQUAL)
    for seed in range(3):
        x = torch.randn(2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        torch.testing.assert_close((weights * x).sum(), reduce(x))
    assert weights[0, 1] == 0


def test_linear_weights_by_hand():
    """Token mean weighs every token 1/3; sequence mean 1/2 and 1/4, 1/4."""
    third = 1 / 3
    token = linear_weights(lambda x: token_mean(x, UNEQUAL_MASK), UNEQUAL)
    sequence = linear_weights(lambda x: sequence_mean(x, UNEQUAL_MASK), UNEQUAL)
    torch.testing.assert_close(token, double([third, 0], [third, third]))
    torch.testing.assert_close(sequence, double([0.5, 0], [0.25, 0.25]))


@pytest.mark.parametrize(
    ("reduce", "given"),
    [
        (token_mean, (UNEQUAL_MASK,)),
        (sequence_mean, (UNEQUAL_MASK,)),
        (partial(constant_mean, max_tokens=7), (UNEQUAL_MASK,)),
        (nll, (UNEQUAL_MASK, torch.tensor([False, True]))),
        (nll, (UNEQUAL_MASK, torch.tensor([False, False]))),
        (partial(nll, mu=0.3), (UNEQUAL_MASK, torch.tensor([True, True]))),
    ],
    ids=["token", "sequence", "constant", "nll", "no correct answer", "scaled nll"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_by_formula_are_those_autograd_finds(reduce, given, dtype):
    """To the last bit, so that a run does not depend on how a reduction was written."""
    like = UNEQUAL.to(dtype)
    found, expected = linear_weights(reduce, like, *given), linear_weights(lambda x: reduce(x, *given), like)
    assert found.dtype == dtype
    assert torch.equal(found, expected)


def test_linear_weights_of_a_loss_that_is_off_are_zero():
    """A component that is off returns a constant 0 and must not stop the update."""
    assert linear_weights(lambda x: x.new_zeros(()), UNEQUAL).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.square().sum(),
        lambda x: x.sum() + 1,
        lambda x: x.relu().sum(),
        lambda x: x.logsumexp(1).mean(),
        lambda x: x.tanh().sum(),
        lambda x: x.pow(3).mean(),
        lambda x: x.clamp(-0.1, 0.1).sum(),
        lambda x: 1e-5 * x.square().sum(),
    ],
    ids=["square", "affine", "relu", "logsumexp", "tanh", "cube", "clamp", "small"],
)
def test_linear_weights_refuse_a_nonlinear_reduction(reduce):
    """A nonlinear reduction would be replaced, silently, by its slope at zero."""
    with pytest.raises(ValueError, match="not linear"):
        linear_weights(reduce, torch.zeros(3, 4, dtype=torch.float64))


# --- pass@k ---


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 2), (6, 2, 3), (6, 0, 2), (6, 6, 3), (6, 4, 3), (8, 1, 1)])
def test_pass_at_k_is_the_share_of_subsets_with_a_hit(n, c, k):
    """The unbiased estimate is the share of k-subsets of the n answers that hold a correct one."""
    answers = [True] * c + [False] * (n - c)
    hits = [any(subset) for subset in itertools.combinations(answers, k)]
    assert pass_at_k(n, c, k) == pytest.approx(sum(hits) / len(hits), abs=1e-15)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_pass_at_k_is_unbiased(p):
    """Over all binomial outcomes it must average to 1 - (1 - p)^k, which 1 - (1 - c/n)^k does not."""
    n, k = 6, 3
    mean = sum(math.comb(n, c) * p**c * (1 - p) ** (n - c) * pass_at_k(n, c, k) for c in range(n + 1))
    assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 2), (4, 5, 2)])
def test_pass_at_k_refuses_too_few_answers(n, c, k):
    """Fewer than 2k answers are too noisy, more hits than answers impossible."""
    with pytest.raises(ValueError, match="pass_at_k"):
        pass_at_k(n, c, k)
