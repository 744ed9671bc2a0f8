"""What is computed all at once on the walk equals what one call per response, state or step gives."""

import numpy as np
import pytest
import torch

from tests.support.full_table import action_table, exact_values
from tests.vapo_core.tasks.test_walk_world import VARIED, make
from vapo_core.tasks.base import GUESS, Grade, verify_all
from vapo_core.tasks.walk import STOP, Walk, WalkPath
from vapo_core.types import Batch, Problem


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


def gradients(total: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(total, list(network.parameters()))])


@pytest.mark.parametrize("dials", VARIED)
def test_networks_read_a_batch_as_they_read_its_tokens_one_by_one(dials):
    """Values, log-probabilities and entropies are dense loops over tokens; so are gradients under random weights."""
    world = make(dials)
    batch = Batch.ungraded(world.engine.generate(world.task.problems["train"][:6], 4, seed=6))
    rows = torch.tensor([5, 0, 17, 17, 3])  # any rows in any order, one of them twice
    batch = batch.take(rows)
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0))
    row, time = batch.mask.nonzero(as_tuple=True)
    inputs = {name: x[row, time] for name, x in batch.inputs.items()}
    values = torch.zeros(batch.mask.shape).index_put(
        (row, time), world.critic.values(inputs["state"], inputs["decision"])
    )
    found = world.critic(batch)
    torch.testing.assert_close(found, values, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        gradients((weights * found).sum(), world.critic),
        gradients((weights * values).sum(), world.critic),
        atol=1e-6,
        rtol=1e-6,
    )
    said = world.policy.log_probs(inputs["state"], inputs["decision"])
    moves = inputs["phase"] == 0
    logp = torch.zeros(batch.mask.shape).index_put(
        (row, time), said.gather(1, inputs["action"][:, None]).squeeze(1).where(moves, 0.0)
    )
    spread = torch.zeros(batch.mask.shape).index_put((row, time), -(said.exp() * said).sum(1).where(moves, 0.0))
    found, entropy = world.policy(batch)
    torch.testing.assert_close(found, logp, atol=1e-6, rtol=0)
    torch.testing.assert_close(entropy, spread, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        gradients((weights * found).sum(), world.policy),
        gradients((weights * logp).sum(), world.policy),
        atol=1e-6,
        rtol=1e-6,
    )


def test_the_critic_reads_a_state_once_for_all_its_filler():
    """What makes long answers cheap: the network sees every state at its decision once, not once per token."""
    world = make({"filler": 9, "size": 8, "horizon": 12})
    batch = Batch.ungraded(world.engine.generate(world.task.problems["train"][:6], 4, seed=6))
    read = []
    world.critic.trunk.register_forward_hook(lambda module, inputs, output: read.append(len(output)))
    world.critic(batch)
    assert read[0] <= int(batch.mask.sum()) / 9 + len(batch.mask)


@pytest.mark.parametrize("dials", [*VARIED, {"size": 8, "horizon": 200}, {"size": 8, "novel_hazards": 2}])
def test_exact_values_are_those_of_the_full_table(dials):
    """J, its gradient, outcomes and values at places, against backward induction over every state at every decision."""
    world = make(dials)
    table = exact_values(world)
    problems = world.task.problems["held_out"][:7]
    starts = world.task.start_states(problems)
    found = world.exact_return(problems)
    assert float(found.detach()) == pytest.approx(float(table[0, starts].mean().detach()), abs=1e-6)
    torch.testing.assert_close(
        gradients(found, world.policy), gradients(table[0, starts].mean(), world.policy), atol=1e-6, rtol=1e-5
    )
    outcomes = [exact_values(world, reward)[0, starts] for reward in world.task.outcome_reward.T]
    expected = torch.stack(outcomes, 1).detach().double().numpy()
    np.testing.assert_allclose(world.exact_outcomes(problems), expected, atol=1e-6)
    rollout = world.engine.generate(problems, 5, seed=7)
    row, time = (x.numpy() for x in rollout.mask.nonzero(as_tuple=True))
    state, decision = (rollout.inputs[name][row, time] for name in ("state", "decision"))
    np.testing.assert_allclose(world.exact_at(rollout, row, time), table[decision, state].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("dials", VARIED)
def test_reach_is_that_of_the_full_table(dials):
    world = make(dials)
    problems, ending = world.task.problems["train"][:5], world.task.ending
    rollout = world.engine.generate(problems, 40, seed=8)
    starts = torch.from_numpy(world.task.start_states(problems))
    here = torch.bincount(starts, minlength=world.task.states).double() / len(starts)
    onward, visits = torch.from_numpy(world.task.transitions[:, :ending]).flatten(), [here]
    for at in action_table(world).detach().double()[:-1]:
        moved = (visits[-1][:, None] * at[:, :ending]).flatten()
        visits.append(torch.zeros_like(here).index_add(0, onward, moved))
    expected = torch.stack(visits)[rollout.inputs["decision"].clamp(max=len(visits) - 1), rollout.inputs["state"]]
    found = world.reach(problems, rollout)
    torch.testing.assert_close(found[rollout.mask], expected.log()[rollout.mask], atol=1e-5, rtol=0)


def test_exact_values_hold_no_table_of_all_states_and_decisions():
    """A long walk's evaluation reads rings of the asked problems' states, and stops when no walk can be under way."""
    world = make({"size": 32, "horizon": 400})
    read = []
    world.policy.trunk.register_forward_hook(lambda module, inputs, output: read.append(len(output)))
    with torch.no_grad():
        world.exact_return(world.task.problems["held_out"][:2])
    assert max(read) <= 2 * 32
    assert len(read) < 400


def walked_straight(walk: Walk, state: int, action: int) -> bool:
    """Whether going on in one direction meets the target before the hazard, one step after the other."""
    stage, goal, hazard, _ = (int(x[state]) for x in walk.coordinates)
    for steps in range(1, walk.dials.size):
        shift = (-1, 1)[action] * steps
        if walk.in_hazard(np.array(hazard - shift)):
            return False
        if walk.at_target(np.array(stage), np.array((goal - shift) % walk.dials.size)):
            return True
    return False


@pytest.mark.parametrize("dials", [{"size": 9, "sparsity": 3, "hazard": 2}, {"size": 12, "modes": 3, "hazard": 0}, {}])
def test_correct_actions_are_those_of_going_step_by_step(dials):
    walk = make(dials).task
    whole = (walk.coordinates[3] == 0) & ~walk.solved(walk.coordinates[0], walk.coordinates[1], walk.coordinates[3])
    for action in (0, 1):
        expected = [walked_straight(walk, state, action) for state in whole.nonzero()[0]]
        assert walk.correct_actions[whole, action].tolist() == expected


def test_a_large_ring_is_evaluated_on_evenly_spaced_gaps():
    small, large = make({"size": 16}), make({"size": 128, "horizon": 200})
    assert small.evaluated == small.task.problems["held_out"]
    gaps = sorted({(p.answer.hazard - p.answer.goal) % 128 for p in large.evaluated})
    assert len(gaps) == 4096 // 128
    assert max(np.diff([0, *gaps, 128])) <= 8
    whole = [p for p in large.task.problems["held_out"] if (p.answer.hazard - p.answer.goal) % 128 in gaps]
    assert large.evaluated == whole


def test_all_rows_in_order_are_not_copied_and_others_are():
    batch = Batch.ungraded(make({}).engine.generate(make({}).task.problems["train"][:2], 3, seed=9))
    assert batch.take(torch.arange(6)).mask is batch.mask
    rows = torch.tensor([5, 4, 3, 2, 1, 0])
    assert torch.equal(batch.take(rows).inputs["state"], batch.inputs["state"].flip(0))
    assert torch.equal(batch.take(rows[:2]).mask, batch.mask[[5, 4]])
