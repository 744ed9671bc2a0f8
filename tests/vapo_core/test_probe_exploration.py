"""Entropy on fixed prefixes and modes found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.worlds import small_spec, trainer_of, view_of
from vapo_core.probes import PROBES


def test_exploration_of_a_uniform_policy_reads_the_logarithm_of_the_actions(cache):
    view = view_of("walk", cache)
    for p in view.world.policy.parameters():
        p.data.zero_()
    view.world.policy.prior.zero_()
    assert PROBES["exploration"](view).metrics["exploration/prefix_entropy"] == pytest.approx(np.log(3), abs=1e-5)


def test_exploration_counts_modes_and_their_evenness(cache):
    """Two goals, uniform base: both modes are found; a policy that only walks one way finds one."""
    trainer = trainer_of(
        small_spec("walk", dials={"size": 8, "horizon": 16, "modes": 2, "hazard": 0, "skill": 15.0}), cache
    )
    view = trainer._view(0)
    both = PROBES["exploration"](view).metrics
    assert both["exploration/modes"] > 1
    assert 0.2 < both["exploration/mode_entropy"] <= 1
    with torch.no_grad():
        view.world.policy.head.bias[0] = -50.0
    one = PROBES["exploration"](replace(view)).metrics
    assert one["exploration/modes"] <= 1


def test_demonstrated_responses_are_the_demonstrations(cache):
    view = view_of("lm", cache)
    fixed = view.world.demonstrated(view.pool[:4], 3)
    rng = np.random.default_rng(3)
    expected = [view.world.task.demonstration(p, rng) for p in view.pool[:4]]
    assert fixed.lengths.tolist() == [len(text) + 1 for text in expected]
    walk = view_of("walk", cache)
    fixed = walk.world.demonstrated(walk.pool[:4], 3)
    assert fixed.lengths.tolist() == [int(p.difficulty) for p in walk.pool[:4]]


def test_pass_at_8_of_a_policy_that_always_stops_at_once(cache):
    """No answer is right, none of 8 either; and in general it lies between one answer's share and that of all 16."""
    view = view_of("walk", cache)
    some = PROBES["exploration"](view).metrics
    assert 0 < some["exploration/pass_at_8"] <= some["exploration/solved_once"]
    with torch.no_grad():
        view.world.policy.head.bias[2] = 50.0
    assert PROBES["exploration"](view).metrics["exploration/pass_at_8"] == 0
