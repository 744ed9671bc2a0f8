"""What a network could represent: a copy that can say everything reads 0, one that can say one number reads 1."""

import numpy as np
import pytest
import torch

from tests.support.worlds import view_of
from tests.vapo_core.probes.test_probe_value_error import Critic, flat
from vapo_core.oracles.truth import unexplained
from vapo_core.probes import PROBES, CannotRun, value_error
from vapo_core.probes.approximation_floor import PLACES, SCORED
from vapo_core.probes.value_error import truth_of


class Scaled(torch.nn.Module):
    """A critic with one weight: a multiple of the true value (or of a constant, if blind)."""

    def __init__(self, world, weight: float, blind: bool = False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.basis = Critic(world, torch.ones_like if blind else lambda v: v)

    def forward(self, batch):
        return self.weight * self.basis(batch)


def read(view) -> dict[str, float]:
    found = PROBES["approximation_floor"](view).metrics
    return {name.removeprefix("approximation_floor/"): x for name, x in found.items()}


def faster(view):
    object.__setattr__(view, "settings", view.settings.model_copy(update={"critic_lr": 0.02}))
    return view


def test_a_network_that_can_hold_the_truth_has_no_floor(cache):
    """Twice the true value before the fit: the floor is 0 and all of the error, E[V^2] / Var(V), is excess."""
    view = faster(view_of("walk", cache))
    view.world.critic = Scaled(view.world, 2.0)
    found = read(view)
    for split in ("held_out", "train"):
        assert found[f"fvu_{split}"] == pytest.approx(0, abs=0.01)
        whole = unexplained(truth_of(view, split, "approximation_floor/scored", SCORED, PLACES).truth)
        assert found[f"fvu_{split}"] + found[f"excess_{split}"] == pytest.approx(whole)
        assert whole > 2
        assert found[f"excess_low_{split}"] < found[f"excess_{split}"] < found[f"excess_high_{split}"]
    assert view.world.critic.weight.item() == 2.0


def test_quarters_of_floor_and_excess_add_up(cache):
    """Weighted by their places: they share one Var(V)."""
    view = view_of("walk", cache)
    found = read(view)
    truth = truth_of(view, "held_out", "approximation_floor/scored", SCORED, PLACES).truth
    share = np.bincount(truth.quarter, minlength=4) / len(truth.value)
    for name in ("fvu", "excess"):
        parts = [found[f"{name}_q{q}"] for q in range(1, 5)]
        assert float(share @ parts) == pytest.approx(found[f"{name}_held_out"])


def test_a_network_that_can_only_say_one_number_has_a_floor_of_one(cache):
    view = faster(view_of("walk", cache))
    view.world.critic = Scaled(view.world, 0.9, blind=True)
    found = read(view)
    assert found["fvu_held_out"] == pytest.approx(1, abs=0.05)
    assert found["excess_held_out"] > 1


def test_the_walks_own_critic_can_represent_most_of_its_values(cache):
    """After two steps of value pretraining the error is the fit's, not the network's."""
    found = read(view_of("walk", cache))
    assert found["fvu_train"] < 0.1
    assert found["excess_train"] > 0.2


def test_a_floor_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["approximation_floor"](view_of("walk", cache, "grpo"))


def test_a_floor_under_a_variance_that_may_be_zero_is_left_out(cache, monkeypatch):
    view = view_of("walk", cache)
    monkeypatch.setattr(value_error, "sampled_truth", lambda *given: flat(128))
    with pytest.raises(CannotRun, match="too near 0"):
        PROBES["approximation_floor"](view)
