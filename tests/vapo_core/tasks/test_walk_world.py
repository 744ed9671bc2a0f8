"""The walk's exact answers: against enumeration by sampling, finite differences and the mean of sampled gradients."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.full_table import exact_values
from vapo_core.tasks.walk import LEFT, RIGHT, STOP, Start, Walk, WalkDials, WalkPath
from vapo_core.types import Batch, Problem
from vapo_core.worlds.walk import WalkWorld

VARIED = [
    {},
    {"hazard": 0, "size": 6, "horizon": 10},
    {"filler": 2, "size": 8, "horizon": 12},
    {"sparsity": 2, "size": 8, "horizon": 30},
    {"modes": 2, "size": 8, "horizon": 12},
    {"trap_prior": 1.0, "trap_reward": 0.3, "size": 8, "horizon": 12},
    {"fixed_length": True, "size": 8, "horizon": 9},
    {"fixed_length": True, "size": 6, "horizon": 7, "filler": 1, "trap_reward": 0.2},
]


def make(dials: dict, seed: int = 0) -> WalkWorld:
    return WalkWorld(Walk(WalkDials(**dials)), 16, 1.0, 0.0, seed, seed)


def batch_of(rollout, rewards: torch.Tensor) -> Batch:
    return replace(Batch.ungraded(rollout), rewards=rewards, correct=rewards == 1)


@pytest.mark.parametrize("dials", VARIED)
def test_exact_j_is_what_sampling_finds(dials):
    """Backward induction, the sampler and the verifier describe the same process, whatever the dials."""
    world = make(dials)
    problems = world.task.problems["train"][:12]
    rollout = world.engine.generate(problems, 1500, seed=3)
    rewards = np.array([world.task.verify(problems[i // 1500], r).reward for i, r in enumerate(rollout.responses)])
    exact = float(world.exact_return(problems).detach())
    assert abs(rewards.mean() - exact) < 4.5 * rewards.std() / np.sqrt(len(rewards)) + 1e-4


def test_exact_gradient_equals_finite_differences():
    """The graph through backward induction gives grad J; checked in double precision on random directions."""
    world = make({"size": 6, "horizon": 8})
    world.policy.double()
    problems = world.task.problems["train"]
    parameters = list(world.policy.parameters())

    def j() -> torch.Tensor:
        return world.exact_return(problems)

    gradient = torch.autograd.grad(j(), parameters)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        direction = [torch.randn(p.shape, generator=generator, dtype=torch.double) for p in parameters]
        expected = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        step = 1e-5
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(step * d)
            up = j()
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(2 * step * d)
            down = j()
            for p, d in zip(parameters, direction, strict=True):
                p.add_(step * d)
        assert float((up - down) / (2 * step)) == pytest.approx(float(expected), rel=1e-5, abs=1e-9)


def test_mean_of_sampled_gradients_converges_to_the_exact_one():
    """REINFORCE with the trainer's own log-probabilities is unbiased for grad J; its error shrinks like 1 / sqrt(n)."""
    world = make({"size": 6, "horizon": 8, "filler": 1})
    problems = world.task.problems["train"]
    exact = _flat(torch.autograd.grad(world.exact_return(problems), list(world.policy.parameters())))
    errors = []
    for answers in (20, 2000):
        rollout = world.engine.generate(problems, answers, seed=11)
        rewards = torch.tensor(
            [world.task.verify(problems[i // answers], r).reward for i, r in enumerate(rollout.responses)]
        )
        logp, _ = world.policy(batch_of(rollout, rewards))
        baseline = exact_values(world).detach()[0, [world.task.start_state(p.answer) for p in problems]]
        advantage = rewards - baseline.repeat_interleave(answers)
        estimate = _flat(torch.autograd.grad((advantage * logp.sum(1)).mean(), list(world.policy.parameters())))
        errors.append(float((estimate - exact).norm() / exact.norm()))
    assert errors[1] < 0.06
    assert errors[1] < 0.3 * errors[0]


def _flat(gradients) -> torch.Tensor:
    return torch.cat([g.reshape(-1) for g in gradients])


@pytest.mark.parametrize("dials", VARIED)
def test_recorded_log_probabilities_equal_the_trainers(dials):
    """What the engine records is what the policy says of the same tokens; filler and padding count nothing."""
    world = make(dials)
    rollout = world.engine.generate(world.task.problems["train"][:8], 32, seed=1)
    logp, entropy = world.policy(batch_of(rollout, torch.zeros(len(rollout.mask))))
    torch.testing.assert_close(logp, rollout.logp, atol=1e-5, rtol=0)
    assert (entropy[~rollout.mask] == 0).all()
    assert rollout.mask.sum(1).max() <= world.task.max_tokens


def test_values_at_filler_tokens_are_those_of_the_state_reached():
    """A filler token's state is the one after the move; the response ends on its stop, never on filler."""
    world = make({"filler": 2, "size": 8, "horizon": 12})
    rollout = world.engine.generate(world.task.problems["train"][:8], 16, seed=2)
    state, phase, action = (rollout.inputs[k] for k in ("state", "phase", "action"))
    filler = rollout.mask & (phase > 0)
    rows, columns = filler.nonzero(as_tuple=True)
    decision_column = columns - phase[rows, columns]
    moved = torch.from_numpy(world.task.transitions)[state[rows, decision_column], action[rows, decision_column]]
    assert torch.equal(state[rows, columns], moved)
    ended = ~rollout.truncated
    last = rollout.mask.sum(1) - 1
    assert (phase[ended, last[ended]] == 0).all()
    assert (action[ended, last[ended]] == STOP).all()


def test_verifier_by_hand():
    """Ring of 8, goal two to the right, hazard one to the left: only right, right, stop is correct."""
    walk = Walk(WalkDials(size=8, horizon=6, trap_reward=0.5))
    problem = Problem("", Start(goal=2, hazard=7))
    assert walk.verify(problem, WalkPath((RIGHT, RIGHT, STOP), 0.9)).reward == 1.0
    assert walk.verify(problem, WalkPath((RIGHT, STOP), 0.9)).reward == 0.0
    assert walk.verify(problem, WalkPath((RIGHT, STOP), 0.4)).reward == 1.0  # a lucky guess
    assert walk.verify(problem, WalkPath((LEFT, STOP), 0.4)).reward == 0.0  # broken: luck does not help
    assert walk.verify(problem, WalkPath((LEFT, RIGHT, RIGHT, RIGHT, STOP), 0.9)).reward == 0.0
    assert walk.verify(problem, WalkPath((RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT), 0.9)) == (0.0, True, "truncated")


def test_waypoints_must_be_passed_first():
    """With one waypoint opposite the goal, stopping at the goal counts only after having been there."""
    walk = Walk(WalkDials(size=8, horizon=20, sparsity=1, hazard=0))
    problem = Problem("", Start(goal=1, hazard=0))
    assert walk.verify(problem, WalkPath((RIGHT, STOP), 0.9)).reward == 0.0
    there_and_back = (LEFT,) * 3 + (RIGHT,) * 4
    assert walk.verify(problem, WalkPath((*there_and_back, STOP), 0.9)).reward == 1.0


def test_shortest_correct_response_is_what_a_demonstration_takes():
    """Difficulty counts decisions of the shortest correct response, and a demonstration is one."""
    walk = Walk(WalkDials())
    rng = np.random.default_rng(0)
    for problem in walk.problems["train"]:
        letters = walk.demonstration(problem, rng)
        actions = tuple({"l": LEFT, "r": RIGHT, ".": STOP}[c] for c in letters)
        assert walk.verify(problem, WalkPath(actions, 0.9)).reward == 1.0
        assert len(actions) == problem.difficulty


def test_splits_share_no_problem_and_are_the_same_for_every_seed():
    walk, again = Walk(WalkDials()), Walk(WalkDials())
    train, held_out = ({p.prompt for p in walk.problems[s]} for s in ("train", "held_out"))
    assert not train & held_out
    assert train == {p.prompt for p in again.problems["train"]}


def test_problems_lie_between_nearest_and_farthest():
    """A regime of one length must hold that length alone, and both splits."""
    whole = Walk(WalkDials())
    part = Walk(WalkDials(nearest=4, farthest=6))
    assert {p.difficulty for split in part.splits for p in part.problems[split]} == {4.0, 5.0, 6.0}
    expected = [p.prompt for split in whole.splits for p in whole.problems[split] if 4 <= p.difficulty <= 6]
    assert sorted(p.prompt for split in part.splits for p in part.problems[split]) == sorted(expected)
    with pytest.raises(ValueError, match="nearest 9"):
        WalkDials(nearest=9, farthest=8)


@pytest.mark.parametrize("dials", [{"modes": 2}, {"trap_prior": 1.0, "trap_reward": 0.3}, {"modes": 2, "filler": 2}])
def test_exact_outcomes_are_what_sampling_finds(dials):
    """Goals in the order the verifier names them, then guesses; the rest is broken or cut off."""
    world = make({"size": 8, "horizon": 12, **dials})
    problems = world.task.problems["train"][:6]
    found = world.exact_outcomes(problems)
    rollout = world.engine.generate(problems, 3000, seed=4)
    grades = [world.task.verify(problems[i // 3000], r) for i, r in enumerate(rollout.responses)]
    assert found.shape == (6, world.task.dials.modes + 1)
    for mode in range(world.task.dials.modes):
        seen = np.array([g.mode == f"goal {mode}" for g in grades]).reshape(6, 3000).mean(1)
        assert np.abs(found[:, mode] - seen).max() < 0.04
    lucky = [world.task.verify(problems[i // 3000], r._replace(luck=-1.0)) for i, r in enumerate(rollout.responses)]
    guessed = np.array([g.mode == "guess" and g.reward == 1 for g in lucky]).reshape(6, 3000).mean(1)
    if world.task.dials.trap_reward:
        assert np.abs(found[:, -1] - guessed).max() < 0.04
    expected = found[:, :-1].sum(1) + world.task.dials.trap_reward * found[:, -1]
    assert float(world.exact_return(problems).detach()) == pytest.approx(expected.mean(), abs=1e-5)


def test_best_j_is_reached_by_no_policy_but_bounds_all():
    """The best J within the horizon is 1 when every goal is in reach, and above any network's."""
    world = make({})
    problems = world.task.problems["train"]
    assert world.best_return(problems) == 1.0
    assert float(world.exact_return(problems).detach()) < 1.0


def test_prior_of_the_trap_is_in_nats_of_log_odds():
    """skill and trap_prior are what a fresh policy's log-odds of right move against early stop come to."""
    world = make({"trap_prior": 2.0, "skill": 0.5})
    with torch.no_grad():
        world.policy.head.weight.zero_()
    start = world.task.start_state(world.task.problems["train"][0].answer)
    row = world.policy.log_probs(torch.tensor([start]), torch.tensor([0]))[0].detach()
    right = int(world.task.correct_actions[start].argmax())
    assert float(row[STOP] - row[right]) == pytest.approx(1.5, abs=1e-5)


@pytest.mark.parametrize(
    ("field", "value"), [("size", 3), ("hazard", 16), ("modes", 3), ("trap_reward", 1.5), ("nearest", 1)]
)
def test_impossible_dials_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        WalkDials(**{field: value})


@pytest.mark.parametrize("filler", [0, 2])
def test_fixed_length_is_one_length_and_judges_where_a_walk_ends(filler):
    """Stopping is staying: who reaches the goal and stays has solved it, who leaves it again has not."""
    world = make({"fixed_length": True, "size": 8, "horizon": 9, "filler": filler})
    walk, problems = world.task, world.task.problems["train"][:8]
    rollout = world.engine.generate(problems, 64, seed=2)
    assert (rollout.mask.sum(1) == walk.max_tokens).all()
    assert walk.max_tokens == 8 * (1 + filler) + 1
    assert not rollout.truncated.any()
    start = Start(goal=2, hazard=7)
    problem = Problem("", start)
    for actions, reward in (((RIGHT, STOP, RIGHT), 1.0), ((RIGHT, RIGHT, RIGHT), 0.0), ((RIGHT, RIGHT, STOP), 1.0)):
        assert walk.verify(problem, WalkPath(actions + (STOP,) * 6, 0.9)).reward == reward
    assert walk.demonstration(problem, np.random.default_rng(0)) == "rr" + "." * 7


@pytest.mark.parametrize("dials", VARIED[-2:])
def test_values_of_fixed_length_agree_with_continuations(dials):
    world = make(dials)
    problems = world.task.problems["train"][:6]
    rollout = world.engine.generate(problems, 4, seed=2)
    row, time = (x.numpy() for x in rollout.mask.nonzero(as_tuple=True))
    exact = world.exact_at(rollout, row, time)
    asked = [problems[i // 4] for i in range(24)]
    found = world.continuations(rollout, asked, row, time, 200, seed=5).returns
    error = (found.mean(1) - exact) / np.sqrt(np.maximum(exact * (1 - exact), 1e-3) / 200)
    assert np.abs(error.mean()) < 0.5
    assert np.mean(error**2) == pytest.approx(1, abs=0.35)


def test_the_best_policy_of_fixed_length_solves_every_problem():
    world = make({"fixed_length": True, "size": 8, "horizon": 9})
    assert world.best_return(world.task.problems["held_out"]) == 1.0


def test_reach_of_fixed_length_adds_up():
    """Staying goes on, so at every decision the policy is somewhere."""
    world = make({"fixed_length": True, "size": 6, "horizon": 7})
    problems = world.task.problems["train"]
    rollout = world.engine.generate(problems, 2000, seed=4)
    asked = [p for p in problems for _ in range(2000)]
    reached = world.reach(asked, rollout).exp()
    state = rollout.inputs["state"]
    for decision in (1, 6):
        counts = torch.bincount(state[:, decision], minlength=world.task.states) / len(state)
        expected = torch.zeros(world.task.states).scatter(0, state[:, decision], reached[:, decision].float())
        assert float(expected.sum()) == pytest.approx(1, abs=0.01)
        assert float((counts - expected).abs().max()) < 0.01


def test_no_state_of_a_novel_hazard_is_met_in_training():
    walk = Walk(WalkDials(novel_hazards=3))
    assert walk.splits == ("train", "held_out", "ood_hazard")
    world = make({"novel_hazards": 3})
    met = {}
    for split in walk.splits:
        rollout = world.engine.generate(walk.problems[split], 20, seed=1)
        met[split] = set(rollout.inputs["state"][rollout.mask].tolist())
    assert not met["ood_hazard"] & (met["train"] | met["held_out"])
    assert met["train"] & met["held_out"]
    sizes = {split: len(found) for split, found in walk.problems.items()}
    everything = Walk(WalkDials()).problems
    assert sum(sizes.values()) == sum(map(len, everything.values()))
    assert 0.15 < sizes["ood_hazard"] / sum(sizes.values()) < 0.25
    assert "ood_hazard" not in everything


@pytest.mark.parametrize("dials", [{"novel_hazards": 15}, {"novel_hazards": 2, "hazard": 0}])
def test_novel_hazards_leave_some_to_training(dials):
    with pytest.raises(ValueError, match="novel_hazards"):
        WalkDials(**dials)


def test_several_goals_have_novel_hazards_alike():
    walk = Walk(WalkDials(modes=2, novel_hazards=2, hazard=1))
    offsets = {(p.answer.hazard - p.answer.goal) % 8 for p in walk.problems["ood_hazard"]}
    assert len(offsets) == 2
    assert not offsets & {(p.answer.hazard - p.answer.goal) % 8 for p in walk.problems["train"]}


def test_changes_of_j_are_those_of_two_backward_inductions_and_take_one_each(monkeypatch):
    """To the bit: J of the present policy is computed once, whatever the number of policies it is compared with."""
    world = make({"size": 8, "horizon": 12})
    problems, moved = world.task.problems["held_out"], []
    for number in range(3):
        policy = copy.deepcopy(world.policy)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
        moved.append(policy)
    with torch.no_grad():
        expected = [float(world.exact_return(problems, policy) - world.exact_return(problems)) for policy in moved]
    calls, own = [], type(world).exact_return
    monkeypatch.setattr(type(world), "exact_return", lambda *given: calls.append(given) or own(*given))
    change = world.exact_changes(problems)
    assert [change(policy) for policy in moved] == expected
    assert len(set(expected)) == 3
    assert len(calls) == 4
    assert world.exact_change(moved[0], problems) == expected[0]
