"""The text walk's verifier, demonstrations and splits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapo_core.tasks import make_task
from vapo_core.tasks.text_walk import TextWalk, TextWalkDials
from vapo_core.tasks.walk import Start
from vapo_core.types import Problem

TASK = TextWalk(TextWalkDials(size=8, horizon=10))
# goal two clockwise of the start, hazard one counter-clockwise: in goal-relative letters start g, hazard f
PROBLEM = next(p for p in TASK.problems["train"] + TASK.problems["held_out"] if p.answer == Start(2, 7))


def test_prompt_names_start_and_hazard_relative_to_the_goal():
    assert PROBLEM.prompt == "g!f:"


@pytest.mark.parametrize(
    ("response", "reward", "parsed"),
    [
        (">h>a", 1.0, True),
        (">h", 0.0, True),  # stops early
        (">h>a>b", 0.0, True),  # stops late
        (">h>b", 0.0, True),  # a misnamed cell
        ("<f<e<d<c<b<a", 0.0, True),  # the right cell through the hazard
        ("<f>g>h>a", 0.0, True),  # broken for good
        ("", 0.0, True),
        (">h>", 0.0, False),
        ("h>a>", 0.0, False),
        (">h>a ", 0.0, False),
        ("__import__('os')", 0.0, False),
        (">i>a", 0.0, False),
    ],
)
def test_verifier_accepts_the_reference_and_rejects_near_misses(response, reward, parsed):
    grade = TASK.verify(PROBLEM, response)
    assert (grade.reward, grade.parsed) == (reward, parsed)


@pytest.mark.parametrize(
    ("response", "mode"), [(">h>a", ">"), (">h<g>h>a", ">"), ("<f<e<d<c<b<a", "<"), (">h<g", "="), ("", "=")]
)
def test_the_mode_is_the_way_round_whatever_the_first_step(response, mode):
    assert TASK.verify(PROBLEM, response).mode == mode


def test_past_a_hazard_there_is_one_way():
    """However carelessly it is walked, the right answers to a problem agree in their mode."""
    task, rng = make_task("text_walk", {}), np.random.default_rng(0)
    solved = 0
    for problem in task.sample(rng, 40, "train"):
        grades = [task.verify(problem, task.demonstration(problem, rng)) for _ in range(60)]
        modes = {grade.mode for grade in grades if grade.reward == 1.0}
        assert len(modes) <= 1
        solved += len(modes)
    assert solved > 20


def test_a_hazard_that_leaves_no_room_is_refused():
    with pytest.raises(ValueError, match="hazard 4 must be at most size - 2 = 3"):
        TextWalkDials(size=5, hazard=4)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="<>abcdefgh!: \n\0é", max_size=60))
def test_verifier_is_total_and_deterministic(text):
    """Any string gets a grade of 0 or 1, the same one every time."""
    first = TASK.verify(PROBLEM, text)
    assert first == TASK.verify(PROBLEM, text)
    assert first.reward in (0.0, 1.0)
    assert first.parsed or first.reward == 0.0


def test_careful_demonstrations_are_correct_and_careless_ones_are_not_always():
    rng = np.random.default_rng(0)
    careful, careless = (make_task("text_walk", {"noise": noise}) for noise in (0.0, 1.0))
    right = [careful.verify(p, careful.demonstration(p, rng)).reward for p in careful.sample(rng, 200, "train")]
    wrong = [careless.verify(p, careless.demonstration(p, rng)).reward for p in careless.sample(rng, 500, "train")]
    assert np.mean(right) == 1.0
    assert 0.1 < np.mean(wrong) < 0.5


def test_demonstrations_use_the_alphabet_and_fit_the_limit():
    rng = np.random.default_rng(1)
    task = make_task("text_walk", {})
    for problem in task.sample(rng, 200, "train"):
        text = task.demonstration(problem, rng)
        assert set(problem.prompt + text) <= set(task.alphabet)
        assert len(text) + 1 <= task.max_tokens


def test_no_held_out_problem_is_in_training():
    train, held_out = ({p.prompt for p in TASK.problems[s]} for s in ("train", "held_out"))
    assert train
    assert held_out
    assert not train & held_out


def test_sample_repeats_only_when_it_must():
    rng = np.random.default_rng(0)
    size = len(TASK.problems["train"])
    drawn = [p.prompt for p in TASK.sample(rng, size, "train")]
    assert len(set(drawn)) == size
    assert len(TASK.sample(rng, size + 3, "train")) == size + 3


def test_unknown_task_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'text_walk'"):
        make_task("text_wlk", {})


def test_a_users_verifier_may_return_a_plain_number_in_range():
    from vapo_core import FunctionTask

    task = FunctionTask(lambda rng, n, split: [Problem("q", 1)] * n, lambda p, r: 2.0, lambda p, rng: "a", "qa", 4)
    with pytest.raises(ValueError, match=r"allowed is \[0, 1\]"):
        task.verify(Problem("q", 1), "a")


def test_reach_makes_a_length_split_and_its_default_changes_nothing():
    """Distances up to the reach train; farther ones are kept apart, from either half."""
    near = make_task("text_walk", {"size": 8, "horizon": 10, "reach": 3})
    assert TASK.splits == ("train", "held_out")
    assert near.splits == ("train", "held_out", "ood_length")
    assert {p.difficulty for p in near.problems["train"] + near.problems["held_out"]} == {2.0, 3.0, 4.0}
    assert min(p.difficulty for p in near.problems["ood_length"]) == 5.0
    assert sum(map(len, near.problems.values())) == sum(map(len, TASK.problems.values()))


def test_filler_lengthens_moves_and_must_be_there():
    filled = make_task("text_walk", {"size": 8, "horizon": 10, "filler": 2})
    assert filled.verify(PROBLEM, ">h..>a..").reward == 1.0
    assert not filled.verify(PROBLEM, ">h>a").parsed
    assert not filled.verify(PROBLEM, ">h..>a.").parsed
    assert filled.boundaries(">h..>a..") == [4, 8]
    assert TASK.boundaries(">h>a") == [2, 4]
    assert "." not in TASK.alphabet
