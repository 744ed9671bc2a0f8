"""Oracle critics read 0, blind ones 1; noise of the continuations is taken out."""

import numpy as np
import pytest
import torch

from tests.worlds import view_of
from vapo_core.oracles.truth import Truth, position_variance, squared_error, value_variance
from vapo_core.probes import PROBES, CannotRun


def test_value_error_of_an_oracle_critic_is_zero_and_of_a_blind_one_is_one(cache):
    view = view_of("walk", cache)
    values = view.world.exact_values().detach()

    class Oracle(torch.nn.Module):
        def forward(self, batch):
            found = values[batch.inputs["decision"], batch.inputs["state"]]
            return found.where(batch.mask, 0.0)

    view.world.critic = Oracle()
    metrics = PROBES["value_error"](view).metrics
    assert metrics["value_error/fvu_held_out"] == pytest.approx(0, abs=1e-9)
    mean = metrics["value_error/var_v_held_out"]
    assert mean > 0

    class Blind(torch.nn.Module):
        level = 0.0

        def forward(self, batch):
            return torch.full(batch.mask.shape, self.level)

    blind = Blind()
    view.world.critic = blind
    blind.level = -float(PROBES["value_error"](view).metrics["value_error/bias_held_out"])  # the mean of V
    assert PROBES["value_error"](view).metrics["value_error/fvu_held_out"] == pytest.approx(1, abs=0.01)


def test_value_error_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["value_error"](view_of("walk", cache, "grpo"))


@pytest.mark.parametrize("k", [4, 16])
def test_debiased_estimates_where_plain_ones_are_biased(k):
    """Errors of 0.2 Var(V), read through K continuations: ours reads 0.20, the plain ratio does not."""
    rng = np.random.default_rng(0)
    time = rng.integers(8, size=40_000)
    v = rng.uniform(0.1, 0.6, len(time)) + 0.04 * time
    returns = rng.random((len(v), k)) < v[:, None]
    critic = v + rng.normal(0, np.sqrt(0.2 * v.var()), len(v))
    truth = Truth(
        np.zeros(len(v), int), time, np.full(len(v), 8), critic, returns.mean(1), returns.var(axis=1, ddof=1) / k
    )
    assert squared_error(truth) / value_variance(truth) == pytest.approx(0.20, abs=0.02)
    plain = np.mean((critic - truth.value) ** 2) / truth.value.var()
    assert abs(plain - 0.20) > 0.05
    inside = np.mean([v[time == t].var() for t in range(8)])
    assert position_variance(truth) / value_variance(truth) == pytest.approx(inside / v.var(), abs=0.02)
