"""Oracle critics read 0, blind ones 1, bent ones their bend; the best position-only critic what it leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.full_table import exact_values
from tests.support.worlds import view_of
from vapo_core.oracles.truth import Truth, value_variance
from vapo_core.probes import PROBES, CannotRun, value_error
from vapo_core.probes.value_error import KEPT, evenly, truth_of


class Critic(torch.nn.Module):
    """Any function of the true value of every place in the walk."""

    def __init__(self, world, change=lambda v: v):
        super().__init__()
        self.values, self.change = exact_values(world).detach(), change

    def forward(self, batch):
        found = self.values[batch.inputs["decision"], batch.inputs["state"]]
        return self.change(found).where(batch.mask, 0.0)


def read(view) -> dict[str, float]:
    return {name.removeprefix("value_error/"): x for name, x in PROBES["value_error"](view).metrics.items()}


def test_an_oracle_critic_reads_zero_everywhere(cache):
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world)
    found = read(view)
    for split in ("held_out", "train"):
        for name in ("fvu", "fvu_low", "fvu_high", "bias", "calibration", "intercept"):
            assert found[f"{name}_{split}"] == pytest.approx(0, abs=1e-6)
        assert found[f"slope_{split}"] == pytest.approx(1, abs=1e-6)
        assert found[f"var_v_{split}"] > 0
    assert all(found[f"fvu_q{q}"] == pytest.approx(0, abs=1e-9) for q in range(1, 5))


def test_a_blind_critic_reads_one_and_has_no_slope(cache):
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world, torch.zeros_like)
    mean = -read(view)["bias_held_out"]
    view.world.critic = Critic(view.world, lambda v: torch.full_like(v, mean))
    found = read(view)
    assert found["fvu_held_out"] == pytest.approx(1, abs=0.01)
    assert found["bias_held_out"] == pytest.approx(0, abs=1e-6)
    assert "slope_held_out" not in found


def test_a_bent_critic_reads_its_bend(cache):
    """V_hat = 0.1 + 0.5 V: slope 2, intercept -0.2; all of its error is calibration but what five bins blur."""
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world, lambda v: 0.1 + 0.5 * v)
    found = read(view)
    assert found["slope_held_out"] == pytest.approx(2, abs=1e-4)
    assert found["intercept_held_out"] == pytest.approx(-0.2, abs=1e-4)
    assert 0.7 * found["fvu_held_out"] < found["calibration_held_out"] < 1.02 * found["fvu_held_out"]


def test_values_of_other_rewards_are_read_in_units_of_the_verifier(cache):
    """Rewards of -1 and 1: an oracle critic of those says 2 V - 1 and still reads 0."""
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world, lambda v: 2 * v - 1)
    other = replace(view, settings=view.settings.model_copy(update={"reward_low": -1.0, "reward_high": 1.0}))
    assert read(other)["fvu_held_out"] == pytest.approx(0, abs=1e-9)
    assert read(view)["fvu_held_out"] > 1


def test_quarters_add_up_to_the_whole(cache):
    """FVU of quarters, weighted by their places, is the FVU: they share one Var(V)."""
    view = view_of("walk", cache)
    measurement = PROBES["value_error"](view)
    truth = truth_of(view, "held_out").truth
    share = np.bincount(truth.quarter, minlength=4) / len(truth.value)
    parts = [measurement.metrics[f"value_error/fvu_q{q}"] for q in range(1, 5)]
    assert float(share @ parts) == pytest.approx(measurement.metrics["value_error/fvu_held_out"])


def test_what_sixteen_continuations_leave_is_their_noise(cache, monkeypatch):
    """V uniform on a grid and known to the critic: the critic reads 0, the mean of 16 results E[V (1 - V)] / (16 Var(V))."""
    view, rng = view_of("walk", cache), np.random.default_rng(0)
    v = np.repeat(np.linspace(0.05, 0.95, 100), 60)
    returns = rng.random((len(v), 16)) < v[:, None]
    number = np.arange(len(v))
    noise = returns.var(axis=1, ddof=1) / 16
    truth = Truth(number % 100, number % 8, number % 8 + 1, v, returns.mean(1), noise)
    monkeypatch.setattr(value_error, "sampled_truth", lambda *given: truth)
    found = read(view)
    assert found["fvu_held_out"] == pytest.approx(0, abs=0.01)
    assert found["fvu_monte_carlo_held_out"] == pytest.approx((v * (1 - v)).mean() / 16 / v.var(), rel=0.03)
    monkeypatch.undo()
    assert "fvu_monte_carlo_held_out" not in read(view)


def test_one_problem_has_no_interval(cache):
    view = view_of("walk", cache)
    found = read(replace(view, held_out=view.held_out[:1]))
    assert "fvu_held_out" in found
    assert "fvu_low_held_out" not in found


def test_value_error_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["value_error"](view_of("walk", cache, "grpo"))


def flat(places: int) -> Truth:
    """V is 0.5 at every place, 16 results each; by chance its variance seems to be far above the floor."""
    number, rng = np.arange(places), np.random.default_rng(13)
    while True:
        returns = rng.random((places, 16)) < 0.5
        noise = returns.var(axis=1, ddof=1) / 16
        truth = Truth(number, number, number + 1, np.full(places, 0.4), returns.mean(1), noise)
        if value_variance(truth) > 1e-3:
            return truth


def test_a_share_of_a_variance_that_may_be_zero_is_left_out(cache, monkeypatch):
    view = view_of("walk", cache)
    monkeypatch.setattr(value_error, "sampled_truth", lambda *given: flat(128))
    with pytest.raises(CannotRun, match="too near 0"):
        PROBES["value_error"](view)


def test_what_has_nothing_to_compare_is_left_out(cache, monkeypatch):
    """Five prompts with one place each, all at different times: no two of a time, no two prompts in a bin."""
    view, number = view_of("walk", cache), np.arange(5)
    truth = Truth(number, number, number + 1, number / 5, number[::-1] / 5, np.zeros(5))
    monkeypatch.setattr(value_error, "sampled_truth", lambda *given: truth)
    found = read(view)
    assert "fvu_held_out" in found
    assert not {"fvu_position_held_out", "calibration_held_out"} & set(found)
    assert np.isfinite(list(found.values())).all()


def test_arrays_are_thinned_evenly(cache):
    """A walk knows the truth at every token; of a grid's thousands of runs a few places each are kept."""
    measurement = PROBES["value_error"](view_of("walk", cache))
    assert {len(column) for column in measurement.arrays.values()} == {2 * KEPT}
    assert evenly(5, 64).tolist() == [0, 1, 2, 3, 4]
    assert evenly(101, 3).tolist() == [0, 50, 100]
