"""Advantage estimators against hand numbers, limits and a loop that knows nothing of tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vapo_core
from vapo_core.functional.advantages import gae, group_relative, returns_to_go, whiten

REAL = st.floats(-3, 3, allow_nan=False, width=64)
UNIT = st.floats(0, 1, allow_nan=False, width=64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def double(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def whole(x):
    return torch.ones(x.shape, dtype=torch.bool)


def loop_gae(rewards, values, lam, gamma):
    """The textbook recursion A_t = delta_t + gamma lambda A_{t+1} on one unmasked response, V = 0 at the end."""
    advantages, ahead, following = np.zeros(len(rewards)), 0.0, 0.0
    for t in reversed(range(len(rewards))):
        ahead = rewards[t] + gamma * following - values[t] + gamma * lam * ahead
        advantages[t], following = ahead, values[t]
    return advantages


def test_package_under_test_is_the_real_one():
    """Without this the folder tests/vapo_core may shadow the package, and `from vapo_core import train` fails."""
    assert vapo_core.__file__ is not None


def test_lambda_zero_is_the_td_error():
    """A wrong sign or a wrong neighbour in delta would not give [1, 1, 2] for V = 1, 2, 3 and a last reward of 5."""
    r, v = double([0.0, 0, 5]), double([1.0, 2, 3])
    assert gae(r, v, whole(r), 0.0).tolist() == [[1.0, 1.0, 2.0]]


@pytest.mark.parametrize(
    ("gamma", "lam", "returns"),
    [(1.0, 1.0, [6.0, 5, 3]), (0.5, 1.0, [2.75, 3.5, 3]), (1.0, 0.5, [3.625, 4.25, 3])],
)
def test_lambda_returns_of_peers(gamma, lam, returns):
    """Discount or lambda on the wrong term would miss the numbers that other repositories test with."""
    r, v = double([1.0, 2, 3]), double([0.5, 1, 1.5])
    torch.testing.assert_close(gae(r, v, whole(r), lam, gamma) + v, double(returns), rtol=0, atol=1e-12)


def test_worked_example_of_length_adaptive_lambda():
    """alpha .4 and three tokens give lambda 1/6; any other power of lambda misses the advantages by hand."""
    r, v = double([0.0, 0, 1]), double([0.2, 0.5, 0.8])
    expected = double([0.3 + 0.3 / 6 + 0.2 / 36, 0.3 + 0.2 / 6, 0.2])
    torch.testing.assert_close(gae(r, v, whole(r), 1 / 6), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(expected, double([0.35556, 0.33333, 0.2]), rtol=0, atol=1e-5)


def test_lambda_one_is_return_minus_value():
    """At lambda = 1 a critic must cancel out of every later token; otherwise it would bias the policy gradient."""
    r, v = torch.randn(5, 9, dtype=torch.float64), torch.randn(5, 9, dtype=torch.float64)
    to_go = r.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(gae(r, v, whole(r), 1.0), to_go - v)
    torch.testing.assert_close(returns_to_go(r, whole(r)), to_go)


def test_returns_to_go_discounts():
    """A return that forgets gamma would be 6 rather than 2.75."""
    r = double([1.0, 2, 3])
    assert returns_to_go(r, whole(r), 0.5).tolist() == [[2.75, 3.5, 3.0]]


@given(st.data())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_masked_tokens_are_as_if_removed(data):
    """A masked token inside, before or after a response must neither give a value, nor decay, nor receive credit."""
    rows, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 13))
    table = st.lists(st.lists(REAL, min_size=width, max_size=width), min_size=rows, max_size=rows)
    r, v = np.array(data.draw(table)), np.array(data.draw(table))
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=rows * width, max_size=rows * width)))
    keep = keep.reshape(rows, width)
    lam = np.array(data.draw(st.lists(UNIT, min_size=rows, max_size=rows)))
    gamma = data.draw(UNIT)
    got = gae(*(torch.from_numpy(x) for x in (r, v, keep, lam)), gamma).numpy()
    for i in range(rows):
        expected = loop_gae(r[i, keep[i]], v[i, keep[i]], lam[i], gamma)
        np.testing.assert_allclose(got[i, keep[i]], expected, rtol=0, atol=1e-12)
        assert (got[i, ~keep[i]] == 0).all()


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("garbage", [999.0, float("nan"), float("inf")])
def test_garbage_on_a_masked_token_changes_nothing(place, garbage):
    """V = 999 or NaN on padding must not leak into a valid advantage (a defect seen in peers)."""
    r, v = [0.0, 0, 5], [1.0, 2, 3]
    r.insert(place, garbage)
    v.insert(place, garbage)
    mask = whole(double(r))
    mask[0, place] = False
    expected = [1.0, 1.0, 2.0]
    expected.insert(place, 0.0)
    assert gae(double(r), double(v), mask, 0.0).tolist() == [expected]


def test_every_row_has_its_own_lambda():
    """One lambda leaking into another response would make the adaptive rule act on the wrong lengths."""
    r, v = double([0.0, 0, 5]).repeat(3, 1), double([1.0, 2, 3]).repeat(3, 1)
    got = gae(r, v, whole(r), torch.tensor([0.0, 0.5, 1.0]))
    assert got.tolist() == [[1.0, 1.0, 2.0], [2.0, 2.0, 2.0], [4.0, 3.0, 2.0]]


@pytest.mark.parametrize("lam", [0.0, 0.5, 0.995, 1.0])
def test_five_thousand_tokens_equal_the_loop(lam):
    """Recursive doubling that drops or repeats a term would show at a length that is no power of two."""
    rng = np.random.default_rng(0)
    r, v = rng.normal(size=5000), rng.normal(size=5000)
    got = gae(torch.from_numpy(r)[None], torch.from_numpy(v)[None], torch.ones(1, 5000, dtype=torch.bool), lam)
    np.testing.assert_allclose(got[0].numpy(), loop_gae(r, v, lam, 1.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17])
def test_the_last_reward_reaches_every_token(width):
    """With V = 0 the terminal reward's weight is exactly lambda^(l-1-t) at every width around a power of two."""
    r = torch.zeros(1, width, dtype=torch.float64)
    r[0, -1] = 1
    expected = 0.9 ** torch.arange(width - 1, -1, -1, dtype=torch.float64)
    torch.testing.assert_close(gae(r, torch.zeros_like(r), whole(r), 0.9)[0], expected)


def test_single_precision_in_single_precision_out():
    """An advantage silently promoted to double would double the memory of a batch."""
    r = torch.ones(2, 3)
    assert gae(r, r, whole(r), torch.tensor([0.5, 0.9], dtype=torch.float64)).dtype == torch.float32


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4), (2, 3)), ((2, 3), (2, 3), (2, 2)), ((3,), (3,), (3,))])
def test_gae_refuses_shapes_that_would_broadcast(shapes):
    """Silent broadcasting of a critic's [B, 1] output is a classic and must be an error."""
    r, v, mask = (torch.zeros(s) for s in shapes)
    with pytest.raises(ValueError, match="equal"):
        gae(r, v, mask.bool(), 1.0)


def test_whiten_by_hand():
    """With n instead of n - 1, or with the masked 999 counted, [1, 2, 6] would not become these numbers."""
    x, mask = double([1.0, 999, 2], [6, float("nan"), 999]), torch.tensor([[1, 0, 1], [1, 0, 0]]).bool()
    scale = np.sqrt(7.0 + 1e-8)  # mean 3, squares 4 + 1 + 9 over n - 1 = 2
    torch.testing.assert_close(whiten(x, mask), double([-2, 0, -1], [3, 0, 0]) / scale, rtol=0, atol=1e-14)


def test_whiten_has_mean_zero_and_unit_variance():
    """Statistics taken over padding would leave a mean, which pushes on length under the sequence mean."""
    x, mask = torch.randn(6, 7, dtype=torch.float64) * 5 + 3, torch.rand(6, 7) > 0.4
    y = whiten(x, mask)[mask]
    assert abs(float(y.mean())) < 1e-12
    assert float(y.var(correction=1)) == pytest.approx(1, abs=1e-6)


def test_whiten_of_equal_numbers_is_zero():
    """Without the epsilon equal advantages would become NaN."""
    assert whiten(double([2.0, 2, 2]), whole(double([0.0, 0, 0]))).tolist() == [[0, 0, 0]]


def test_whiten_refuses_a_single_token():
    """The variance of one number does not exist, and NaN advantages must not be made from it."""
    with pytest.raises(ValueError, match="at least 2"):
        whiten(double([1.0, 2.0]), torch.tensor([[True, False]]))


def test_group_relative_by_hand():
    """Groups mixed up, or a standard deviation with n, would not give 1/2, 1/sqrt 2 and 0 here."""
    rewards = double([1.0, 0, 0, 0, 1, 0, 7, 7])[0]
    group = torch.tensor([0, 0, 0, 0, 2, 2, 5, 5])
    got = group_relative(rewards, group, epsilon=0.5)
    expected = double([0.75, -0.25, -0.25, -0.25, 0.75, -0.75, 0, 0])[0]
    std = double([0.5, 0.5, 0.5, 0.5, 0.5**0.5, 0.5**0.5, 0, 0])[0]
    expected[4:6] = torch.tensor([0.5, -0.5], dtype=torch.float64)
    torch.testing.assert_close(got, expected / (std + 0.5))


def test_group_relative_does_not_care_for_order():
    """Answers to one prompt need not stand side by side, e.g. after a shuffle into mini-batches."""
    rewards, group = torch.rand(12, dtype=torch.float64), torch.arange(12) % 3
    order = torch.randperm(12)
    torch.testing.assert_close(group_relative(rewards, group)[order], group_relative(rewards[order], group[order]))


def test_group_relative_refuses_a_group_of_one():
    """One answer compared with itself has no advantage; zero would hide the mistake."""
    with pytest.raises(ValueError, match="at least 2"):
        group_relative(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0, 0, 1]))
