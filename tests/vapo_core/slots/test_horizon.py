"""Slot `horizon`: other lengths than one's own for the lambda rule, and a horizon from the critic's error."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import run, small_settings, small_spec, trainer_of
from vapo_core.combinations import check_combination
from vapo_core.components import length_adaptive_gae
from vapo_core.recipe import Toggles, assemble
from vapo_core.slots.horizon import VARIANTS, error_model, mean_of_others, others_length, own_length
from vapo_core.types import Batch

SETTINGS = small_settings("walk")


def batch_of(lengths, group, rewards=None) -> Batch:
    lengths = torch.tensor(lengths)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    zeros, rewards = torch.zeros(mask.shape), torch.tensor(rewards or [0.0] * len(lengths))
    step = torch.arange(mask.shape[1]).expand(mask.shape)
    return Batch({}, mask, zeros, zeros, rewards, rewards == 1, torch.tensor(group), step)


def test_mean_of_others_by_hand():
    """Two prompts of three and two answers; a lone answer looks at the rest of the batch."""
    found = mean_of_others(torch.tensor([1.0, 2, 6, 4, 8, 30]), torch.tensor([0, 0, 0, 1, 1, 2]))
    assert found.tolist() == pytest.approx([4, 3.5, 1.5, 8, 4, 21 / 5])
    assert mean_of_others(torch.tensor([7.0]), torch.tensor([0])).tolist() == [7]


def test_ones_own_length_does_not_move_ones_own_lambda():
    """R11's remedy: the rule must not see a response's own future; VAPO's does."""
    rule, values = length_adaptive_gae.on(SETTINGS), torch.zeros(4, 9)
    short, long = (batch_of([n, 3, 5, 7], [0, 0, 1, 1]) for n in (4, 9))
    assert others_length(rule, short, values)[0] == others_length(rule, long, values)[0]
    assert others_length(rule, short, values)[1] != others_length(rule, long, values)[1]
    assert own_length(rule, short, values)[0] != own_length(rule, long, values)[0]
    torch.testing.assert_close(own_length(rule, short, values), rule(short.lengths))


@pytest.mark.parametrize(("sigma", "rho"), [(0.1, 0.0), (0.1, 0.5), (0.2, 0.8)])
def test_error_model_finds_a_planted_error(sigma, rho):
    """Martingale values plus an autoregressive error: size and reach come back, whatever the true changes."""
    rng = np.random.default_rng(0)
    rows, steps = 40_000, 20
    true = np.cumsum(rng.normal(0, 0.05, (rows, steps)), axis=1)
    error = np.zeros((rows, steps))
    error[:, 0] = rng.normal(0, sigma, rows)
    for t in range(1, steps):
        error[:, t] = rho * error[:, t - 1] + rng.normal(0, sigma * (1 - rho**2) ** 0.5, rows)
    exists = torch.arange(steps) < torch.from_numpy(rng.integers(3, steps + 1, rows))[:, None]
    found, reach = error_model(torch.from_numpy(true + error), exists)
    assert found == pytest.approx(sigma, rel=0.06)
    assert reach == pytest.approx(1 / (1 - rho), rel=0.12)


def test_an_exact_or_a_shrunken_critic_shows_no_error():
    """Uncorrelated changes, halved or not, ask for lambda 0, whose gradient they give rightly turned."""
    rng = np.random.default_rng(1)
    true = torch.from_numpy(np.cumsum(rng.normal(0, 0.05, (20000, 12)), axis=1))
    exists = torch.ones(true.shape, dtype=torch.bool)
    for values in (true, 0.5 * true):
        sigma, reach = error_model(values, exists)
        assert sigma * reach < 0.01


def test_error_aware_horizon_by_hand():
    """R4 with the estimates put in, per step; tokens of a longer step take the root, so a step loses the same."""
    rng = np.random.default_rng(2)
    batch = batch_of([16] * 64, np.arange(64) // 16, [0.0, 1.0] * 32)
    values = torch.from_numpy(rng.normal(0, 0.2, (64, 16))).float()
    sigma, reach = error_model(values, batch.mask)
    lam = VARIANTS["error_aware"](SETTINGS)(length_adaptive_gae.on(SETTINGS), batch, values)
    expected = (4 * sigma**2 * reach**2 * 16 * 16 / 0.25) ** (1 / 3)
    assert lam.tolist() == pytest.approx([1 - 1 / expected] * 64, rel=1e-4)
    wide = replace(
        batch, mask=torch.ones(64, 48).bool(), logp_old=torch.zeros(64, 48), step=torch.arange(48).expand(64, 48) // 3
    )
    per_token = VARIANTS["error_aware"](SETTINGS)(
        length_adaptive_gae.on(SETTINGS), wide, values.repeat_interleave(3, dim=1)
    )
    torch.testing.assert_close(per_token**3, lam, rtol=1e-4, atol=0)


def test_a_batch_that_says_nothing_gets_lambda_zero():
    batch = batch_of([3, 4], [0, 0], [1.0, 1.0])
    lam = VARIANTS["error_aware"](SETTINGS)(length_adaptive_gae.on(SETTINGS), batch, torch.rand(2, 4))
    assert lam.tolist() == [0, 0]


def test_equal_first_weight_keeps_the_first_token_at_q():
    """lambda^(l-1) = exp(-1/alpha) at every length, as VAPO's rule only where alpha l is large (R2)."""
    rule = length_adaptive_gae.VARIANTS["equal_first_weight"](SETTINGS.model_copy(update={"alpha": 0.4}))
    lengths = torch.tensor([2, 10, 40, 4000])
    assert (rule(lengths).double() ** (lengths - 1)).tolist() == pytest.approx([np.exp(-2.5)] * 4, rel=1e-3)
    assert rule(torch.tensor([1])).tolist() == [0.0]
    on = length_adaptive_gae.on(SETTINGS.model_copy(update={"alpha": 0.4}))
    assert float(rule(lengths)[-1]) == pytest.approx(float(on(lengths)[-1]), abs=2e-6)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_runs_with_each_variant(cache, variant):
    """The slot reaches the update: lambda differs from VAPO's on the very first batch."""
    points = {
        name: run(trainer_of(small_spec("walk", variants=chosen, steps=1), cache))
        for name, chosen in {"own": {}, variant: {"horizon": variant}}.items()
    }
    name = "activity/length_adaptive_gae"
    assert points["own"][1][1][name] != points[variant][1][1][name]


def test_a_horizon_without_the_component_is_refused():
    """It would bring the component back under the label of its absence."""
    with pytest.raises(ValueError, match="horizon"):
        check_combination(Toggles(length_adaptive_gae=False), SETTINGS, {"horizon": "error_aware"})
    assert assemble(Toggles(length_adaptive_gae=False), SETTINGS).horizon is own_length
