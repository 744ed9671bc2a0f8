"""Entropy on fixed prefixes and modes found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import small_spec, trainer_of, view_of
from vapo_core.probes import PROBES
from vapo_core.probes.exploration import diversity, exact


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
    assert 0.1 < both["exploration/mode_diversity"] <= 1
    with torch.no_grad():
        view.world.policy.head.bias[0] = -50.0
    one = PROBES["exploration"](replace(view)).metrics
    assert one["exploration/modes"] <= 1
    assert one.get("exploration/mode_diversity", 0.0) == 0


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


def test_diversity_is_unbiased_at_any_number_of_answers():
    """Three modes in use, .5 .3 .2: two answers differ with probability .62, whether 2 or 16 are at hand."""
    rng = np.random.default_rng(0)
    for answers in (2, 16):
        drawn = rng.choice(3, size=(20_000, answers), p=[0.5, 0.3, 0.2])
        assert np.mean([diversity(row) for row in drawn]) == pytest.approx(0.62, abs=0.012)
    assert diversity(np.zeros(5)) == 0
    assert diversity(np.arange(5)) == 1


def test_lucky_guesses_solve_nothing(cache):
    """A trap that pays every time and a policy that stops at once: all answers are right, none is counted."""
    dials = {"size": 8, "horizon": 12, "trap_prior": 4.0, "trap_reward": 1.0}
    view = trainer_of(small_spec("walk", dials=dials), cache)._view(0)
    with torch.no_grad():
        view.world.policy.head.bias[2] = 50.0
    metrics = PROBES["exploration"](view).metrics
    assert metrics["exploration/guessed"] == 1
    assert metrics["exploration/solved_once"] == metrics["exploration/pass_at_8"] == metrics["exploration/modes"] == 0


def test_exact_outcomes_by_hand():
    """Two modes: 3 to 1 on one problem, one alone on the other, a third that is never solved is left out of both."""
    found = exact(np.array([[0.3, 0.1, 0.4], [0.2, 0.0, 0.1], [0.0, 0.0, 1.0]]))
    assert found["exploration/exact_solved"] == pytest.approx(0.2)
    assert found["exploration/exact_depth"] == pytest.approx((np.log(1) + np.log(0.5)) / 2)
    quarter = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2)
    assert found["exploration/exact_mode_entropy"] == pytest.approx(quarter / 2)
    assert "exploration/exact_mode_entropy" not in exact(np.array([[0.3, 0.4]]))


def test_exact_numbers_are_logged_on_the_walk_alone(cache):
    metrics = PROBES["exploration"](view_of("walk", cache, dials={"size": 8, "horizon": 12, "modes": 2})).metrics
    assert 0 < metrics["exploration/exact_mode_entropy"] <= 1
    assert 0 < metrics["exploration/exact_solved"] < 1
    assert "exploration/exact_solved" not in PROBES["exploration"](view_of("lm", cache)).metrics
