"""What a network could represent: a copy that can say everything reads 0, one that can say one number reads 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import view_of
from tests.vapo_core.probes.test_probe_value_error import Critic, flat
from vapo_core.oracles.truth import unexplained, value_variance
from vapo_core.probes import PROBES, CannotRun, value_error
from vapo_core.probes.approximation_floor import floor as approximation_floor
from vapo_core.probes.approximation_floor.floor import PLACES, SCORED
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
    assert found["fvu_held_out"] == pytest.approx(0, abs=0.01)
    whole = unexplained(truth_of(view, "held_out", "approximation_floor/scored", SCORED, PLACES).truth)
    assert found["fvu_held_out"] + found["excess_held_out"] == pytest.approx(whole)
    assert whole > 2
    assert found["excess_low_held_out"] < found["excess_held_out"] < found["excess_high_held_out"]
    assert view.world.critic.weight.item() == 2.0


def test_answers_double_until_that_helps_no_more(cache, monkeypatch):
    """A fit whose error is 1 / answers: each doubling takes off half as much; the last, less than STILL."""
    view = view_of("walk", cache)
    each = approximation_floor.FIRST * view.settings.responses_per_step
    seen = []

    def fitted(critic, parts, rate, seed):
        seen.append(sum(len(part.targets) for part in parts))
        size = 0.4 * each / seen[-1]  # FVU wanted of the copy
        spread = value_variance(truth_of(view, "held_out", "approximation_floor/scored", SCORED, PLACES).truth)
        return Critic(view.world, lambda v: v + (size * spread) ** 0.5)

    monkeypatch.setattr(approximation_floor, "fit", fitted)
    monkeypatch.setattr(approximation_floor, "LARGEST", 1024)
    found = read(view)
    assert seen == [each, 2 * each, 4 * each, 8 * each, 16 * each, 32 * each]  # falls 0.2, 0.1, 0.05, 0.025, 0.0125
    assert found["responses"] == seen[-1]
    assert found["fall"] == pytest.approx(0.0125, abs=1e-4)
    assert found["fvu_held_out"] == pytest.approx(0.0125, abs=1e-4)
    seen.clear()
    monkeypatch.setattr(approximation_floor, "LARGEST", 16)
    found = read(view)
    assert seen == [each, 2 * each]
    assert found["fall"] == pytest.approx(0.2, abs=1e-4), "more than STILL: the floor has not settled, and says so"


def test_it_is_fitted_and_scored_on_different_prompts(cache, monkeypatch):
    asked = []
    view = view_of("walk", cache)
    monkeypatch.setattr(approximation_floor, "LARGEST", approximation_floor.FIRST)
    own = approximation_floor.lessons
    monkeypatch.setattr(
        approximation_floor, "lessons", lambda v, given, part: asked.extend(given) or own(v, given, part)
    )
    read(view)
    scored = truth_of(view, "held_out", "approximation_floor/scored", SCORED, PLACES)
    assert asked
    assert not {problem.prompt for problem in asked} & set(scored.prompts)


def test_no_prompt_of_the_held_out_problems_is_taught_where_a_task_repeats_them(cache):
    view = view_of("walk", cache)
    drawn = approximation_floor.unmet(view)
    same = replace(view, held_out=drawn[:3])
    assert {p.prompt for p in approximation_floor.unmet(same)} == {p.prompt for p in drawn} - {
        p.prompt for p in drawn[:3]
    }


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
    assert found["fvu_held_out"] == pytest.approx(1, abs=0.1)
    assert found["excess_held_out"] > 1
    assert found["responses"] == 2 * approximation_floor.FIRST * view.settings.responses_per_step, "one doubling tells"


def test_the_walks_own_critic_can_represent_most_of_its_values(cache):
    """After two steps of value pretraining the error is the fit's, not the network's."""
    found = read(view_of("walk", cache))
    assert found["fvu_held_out"] < 0.2
    assert found["excess_held_out"] > 0.2


def test_a_floor_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["approximation_floor"](view_of("walk", cache, "grpo"))


def test_a_floor_under_a_variance_that_may_be_zero_is_left_out(cache, monkeypatch):
    view = view_of("walk", cache)
    monkeypatch.setattr(value_error, "sampled_truth", lambda *given: flat(128))
    with pytest.raises(CannotRun, match="too near 0"):
        PROBES["approximation_floor"](view)
