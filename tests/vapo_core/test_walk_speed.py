"""What is computed all at once on the walk equals what one call per response, state or step gives."""

import numpy as np
import pytest

from tests.vapo_core.test_walk_world import VARIED, make
from vapo_core.tasks.base import GUESS, Grade, verify_all
from vapo_core.tasks.walk import STOP, Walk, WalkPath
from vapo_core.types import Problem


def graded_alone(walk: Walk, problem: Problem, response: WalkPath) -> Grade:
    """One walk followed step by step."""
    state, actions = walk.start_state(problem.answer), response.actions
    if not actions or not (walk.dials.fixed_length or actions[-1] == STOP):
        return Grade(0.0, mode="truncated")
    for action in actions:
        state = int(walk.transitions[state, action])
    stage, goal, _, broken = (x[state] for x in walk.coordinates)
    if walk.solved(stage, goal, broken):
        return Grade(1.0, mode=f"goal {int(goal) // (walk.dials.size // walk.dials.modes)}")
    return Grade(float(broken == 0 and response.luck < walk.dials.trap_reward), mode=GUESS)


@pytest.mark.parametrize("dials", VARIED)
def test_grades_of_a_batch_are_those_of_its_responses(dials):
    world = make(dials)
    problems = [p for p in world.task.problems["train"][:12] for _ in range(40)]
    responses = [*world.engine.generate(problems, 1, seed=5).responses]
    responses[0], responses[1] = WalkPath((), 0.0), WalkPath((0,), 0.0)
    found = verify_all(world.task, problems, responses)
    assert found == [graded_alone(world.task, p, r) for p, r in zip(problems, responses, strict=True)]
    assert all(type(grade.reward) is float for grade in found)
    assert found[7] == world.task.verify(problems[7], responses[7])


def test_no_responses_have_no_grades():
    assert make({}).task.verify_all([], []) == []


@pytest.mark.parametrize("dials", VARIED)
def test_start_states_of_a_batch_are_those_of_its_problems(dials):
    walk = make(dials).task
    problems = walk.problems["train"]
    assert np.array_equal(walk.start_states(problems), [walk.start_state(p.answer) for p in problems])
