"""Routes round a ring: as many right answers as the dial says, and no more."""

import numpy as np
import pytest

from vapo_core.tasks.routes import Routes, RoutesDials, Trip
from vapo_core.types import Problem

TASK = Routes(RoutesDials(size=7, modes=4, reach=2))
PROBLEM = Problem("b>d:", Trip(1, 3))


@pytest.mark.parametrize(
    ("response", "reward", "parsed", "mode"),
    [
        ("Acd", 1.0, True, "route A"),
        ("Bagfed", 1.0, True, "route B"),
        ("Cd", 1.0, True, "route C"),
        ("Dgecafd", 1.0, True, "route D"),
        ("Ac", 0.0, True, "unfinished"),
        ("A", 0.0, True, "unfinished"),
        ("Acde", 0.0, True, "strayed"),  # past the goal
        ("Ad", 0.0, True, "strayed"),  # the stride of C under the name of A
        ("cd", 0.0, False, ""),
        ("", 0.0, False, ""),
        ("Ecd", 0.0, False, ""),  # a route that this dial does not have
        ("Ach", 0.0, False, ""),
    ],
)
def test_verifier(response, reward, parsed, mode):
    grade = TASK.verify(PROBLEM, response)
    assert (grade.reward, grade.parsed, grade.mode) == (reward, parsed, mode)


@pytest.mark.parametrize("modes", [1, 2, 4, 6])
def test_every_problem_has_exactly_as_many_solutions_as_modes(modes):
    task = Routes(RoutesDials(modes=modes))
    for problem in (p for found in task.problems.values() for p in found):
        answers = [task.written(mode, task.route(problem.answer, mode)) for mode in range(modes)]
        grades = [task.verify(problem, answer) for answer in answers]
        assert all(grade.reward == 1.0 for grade in grades)
        assert len({grade.mode for grade in grades}) == modes
        assert max(map(len, answers)) + 1 <= task.max_tokens


def test_demonstrations_take_all_routes_alike():
    rng = np.random.default_rng(0)
    task = Routes(RoutesDials(noise=0.0))
    taken = [task.demonstration(p, rng)[0] for p in task.sample(rng, 2000, "train")]
    assert [taken.count(name) / 2000 for name in "ABCD"] == pytest.approx([0.25] * 4, abs=0.04)


def test_farther_goals_are_a_split_of_their_own():
    def along_the_ring(problem):
        ahead = (problem.answer.goal - problem.answer.start) % 7
        return min(ahead, 7 - ahead)

    assert {along_the_ring(p) for p in TASK.problems["train"] + TASK.problems["held_out"]} == {1, 2}
    assert {along_the_ring(p) for p in TASK.problems["ood_length"]} == {3}
    assert Routes(RoutesDials(reach=8)).splits == ("train", "held_out")


def test_difficulty_is_the_shortest_way():
    problem = next(p for found in TASK.problems.values() for p in found if p.prompt == "b>d:")
    assert (problem.difficulty, problem.kind) == (1.0, "C")


def test_a_stride_that_misses_cells_is_one_clear_error():
    with pytest.raises(ValueError, match="size 16: a stride of 2, mode 4"):
        RoutesDials(size=16)
