"""Planted errors are found where credit is right, missed by the known formula where the critic is blind."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.full_table import exact_values
from tests.support.worlds import view_of
from vapo_core.functional.advantages import gae
from vapo_core.oracles.planted import corrupted_texts, erring_beginnings, slipped_walks
from vapo_core.probes import PROBES, CannotRun, credit
from vapo_core.probes.credit import blame_of, boundary_share
from vapo_core.tasks import TASKS, make_task
from vapo_core.tasks.base import FunctionTask
from vapo_core.types import Problem


class Constant(torch.nn.Module):
    """A blind critic."""

    def forward(self, batch):
        return torch.full(batch.mask.shape, 0.5).where(batch.mask, 0.0)


class Oracle(torch.nn.Module):
    """The exact critic of the walk, in the reward units of the settings."""

    def __init__(self, world, low=0.0, high=1.0):
        super().__init__()
        self.values = low + (high - low) * exact_values(world).detach()

    def forward(self, batch):
        return self.values[batch.inputs["decision"], batch.inputs["state"]].where(batch.mask, 0.0)


def walk_view(cache, lam=0.0, **dials):
    """A walk on a ring of 16 whose recipe has this constant lambda."""
    dials = {"size": 16, "horizon": 24, **dials}
    return view_of("walk", cache, "ppo", dials=dials, numbers={"fixed_lambda": lam})


def test_blame_by_hand():
    """Blame 0.3 + 0.1, of which the step holds 0.3; its token lies below one of the two tokens outside, and ties one."""
    inside = np.array([False, True, True, False])
    share, precision, auroc, delay = blame_of(np.array([0.2, -0.1, -0.3, -0.1]), inside, place=1)
    assert share == pytest.approx(0.4 / 0.5)
    assert (precision, auroc, delay) == (1.0, 0.75, 1.0)
    share, precision, auroc, delay = blame_of(np.array([1.0, 1.0, 1.0, 1.0]), inside, place=1)
    assert np.isnan(share)
    assert (precision, auroc, delay) == (
        0.5,
        0.5,
        0.5,
    )  # all tie: half of the lowest lie inside, their mean place is 1.5


@pytest.mark.parametrize("lam", [0.0, 0.5, 0.9])
def test_a_step_before_the_error_holds_what_theory_says(lam):
    """R12: exact critic, one error at j, a step of w tokens that ends at j: (1 - lambda^w) / (1 - lambda^(j+1))."""
    length, j, width = 40, 29, 4
    values = torch.tensor([[1.0] * (j + 1) + [0.0] * (length - j - 1)])
    found = gae(torch.zeros(1, length), values, torch.ones(1, length, dtype=torch.bool), lam)[0].double().numpy()
    inside = np.isin(np.arange(length), np.arange(j - width + 1, j + 1))
    share, precision, auroc, delay = blame_of(found, inside, j)
    assert share == pytest.approx((1 - lam**width) / (1 - lam ** (j + 1)), rel=1e-5)
    assert (precision, auroc, delay) == (1.0, 1.0, 0.0)


def test_shuffled_credit_is_at_chance():
    rng = np.random.default_rng(0)
    length, place = 20, 4
    inside = np.arange(length) // 2 == place // 2
    planted = np.where(np.arange(length) == place, -1.0, 0.1 * rng.normal(size=(4000, length)) + 0.5)
    found = np.array([blame_of(row, inside, place) for row in planted])
    np.testing.assert_allclose(found.mean(0), [1, 1, 1, 0], atol=0.001)
    shuffled = np.array([blame_of(row, inside, place) for row in rng.permuted(planted, axis=1)])
    share, precision, auroc, delay = shuffled.mean(0)
    assert share == pytest.approx(0.1, abs=0.02)
    assert precision == pytest.approx(0.1, abs=0.02)
    assert auroc == pytest.approx(0.5, abs=0.02)
    assert delay == pytest.approx((length - 1) / 2 - place, abs=0.3)


@pytest.mark.parametrize("filler", [0, 3])
def test_exact_critic_at_lambda_0_blames_the_error_alone(filler, cache):
    view = walk_view(cache, filler=filler, skill=4.0)
    view.world.critic = Oracle(view.world)
    found = PROBES["credit"](view)
    assert found.metrics["credit/share"] == pytest.approx(1, abs=1e-5)
    assert found.metrics["credit/precision_at_1"] == found.metrics["credit/auroc"] == 1
    assert found.metrics["credit/delay"] == 0
    assert set(found.arrays["step_tokens"]) == {1 + filler}
    for name in ("share", "precision_at_1", "auroc", "delay"):
        np.testing.assert_array_equal(found.arrays[name], found.arrays[f"{name}_exact"])


@pytest.mark.parametrize("lam", [0.5, 0.9])
def test_blind_critic_blames_the_end_by_the_known_formula(lam, cache):
    """h7a: token j of l holds (1 - lambda) lambda^(l-1-j) / (1 - lambda^l), and j of l - 1 others are blamed less."""
    view = walk_view(cache, lam)
    view.world.critic = Constant()
    found = PROBES["credit"](view)
    length, place = found.arrays["length"], found.arrays["place"]
    formula = (1 - lam) * lam ** (length - 1 - place) / (1 - lam**length)
    np.testing.assert_allclose(found.arrays["share"], formula, rtol=1e-4)
    np.testing.assert_allclose(found.arrays["auroc"], place / (length - 1))
    np.testing.assert_allclose(found.arrays["delay"], length - 1 - place)
    assert found.metrics["credit/auroc_early"] < 0.2
    assert found.metrics["credit/precision_at_1"] == 0
    assert found.metrics["credit/share_exact"] > found.metrics["credit/share"]


def test_lambda_smears_blame_of_an_exact_critic(cache):
    shares = [
        PROBES["credit"](walk_view(cache, lam, skill=4.0)).metrics["credit/share_exact"] for lam in (0.0, 0.5, 0.9)
    ]
    assert shares[0] > shares[1] + 0.05 > shares[2] + 0.1


def test_measures_do_not_depend_on_reward_values(cache):
    """Rewards of -1 and 1 with the critic scaled alike: every number stays."""
    plain, wide = walk_view(cache, 0.7), walk_view(cache, 0.7)
    wide = replace(wide, settings=wide.settings.model_copy(update={"reward_low": -1.0}))
    plain.world.critic, wide.world.critic = Oracle(plain.world), Oracle(wide.world, -1.0)
    first, second = PROBES["credit"](plain), PROBES["credit"](wide)
    for name, value in first.metrics.items():
        assert second.metrics[name] == pytest.approx(value, rel=1e-4), name


def test_td_error_at_boundaries_of_a_walk_is_all_there(cache):
    """With filler the true error stands on decisions alone, and a critic blind to filler agrees; nothing without filler."""
    view = walk_view(cache, filler=3)
    found = PROBES["credit"](view).metrics
    assert found["credit/boundary_share"] == pytest.approx(1, abs=1e-6)
    assert found["credit/boundary_share_true"] == pytest.approx(1, abs=1e-6)

    class Drifting(torch.nn.Module):
        def forward(self, batch):
            return (0.1 * (torch.arange(batch.mask.shape[1]) % 2)).expand(batch.mask.shape).where(batch.mask, 0.0)

    view.world.critic = Drifting()
    drifting = PROBES["credit"](view).metrics
    assert drifting["credit/boundary_share"] == pytest.approx(0.25, abs=0.01)
    assert drifting["credit/boundary_share_true"] == pytest.approx(1, abs=1e-6)
    assert "credit/boundary_share" not in PROBES["credit"](walk_view(cache)).metrics


def test_boundary_share_takes_noise_out():
    """True share 0.8; noise of equal size everywhere pulls the plain share towards the share of tokens, 0.25."""
    rng = np.random.default_rng(0)
    opens = np.arange(40_000) % 4 == 0
    delta = rng.normal(size=len(opens)) * np.where(opens, np.sqrt(0.8 / 0.25), np.sqrt(0.2 / 0.75)) * 0.1
    noisy = delta + rng.normal(0, 0.1, len(opens))
    assert boundary_share(delta**2, opens) == pytest.approx(0.8, abs=0.02)
    assert boundary_share(noisy**2 - 0.1**2, opens) == pytest.approx(0.8, abs=0.04)
    assert boundary_share(noisy**2, opens) < 0.6
    assert np.isnan(boundary_share(rng.normal(size=100), opens[:100]))
    assert boundary_share(np.array([1.0, 4.0, 9.0, 2.0]), np.array([True, False, True, False])) == 10 / 16


def test_true_td_square_is_the_same_from_continuations(cache, monkeypatch):
    """64 continuations per value, their noise of 0.004 taken off, against the exact squares of the same walks."""
    view = walk_view(cache, filler=1)
    exact = PROBES["credit"](view).metrics
    monkeypatch.setattr(view.world, "exact_at", lambda *_: None)
    monkeypatch.setattr(credit, "PLACES", 10**6)
    monkeypatch.setattr(credit, "CONTINUATIONS", 64)
    sampled = PROBES["credit"](view).metrics
    assert "credit/share_exact" not in sampled
    assert sampled["credit/td_square"] == pytest.approx(exact["credit/td_square"])
    for name in ("td_square_true", "td_square_boundary_true"):
        assert sampled[f"credit/{name}"] == pytest.approx(exact[f"credit/{name}"], abs=0.0015)
    assert sampled["credit/boundary_share_true"] == pytest.approx(1, abs=0.3)


def test_slipped_walks_are_demonstrations_that_die_at_the_place(cache):
    view = walk_view(cache, filler=2)
    problems = [view.held_out[i % len(view.held_out)] for i in range(200)]
    found = slipped_walks(view.world, problems, 3)
    plain = view.world.demonstrated(problems, 3)
    assert torch.equal(found.rollout.mask, plain.mask)
    assert torch.equal(found.rollout.inputs["action"], plain.inputs["action"])
    row, time = found.rollout.mask.nonzero(as_tuple=True)
    value = view.world.exact_at(found.rollout, row.numpy(), time.numpy())
    before = (time <= found.place[row]).numpy()
    assert (value[before] > 0).all()
    assert (value[~before] == 0).all()
    moves = (plain.lengths - 1) // 3
    decision = found.place // 3
    assert torch.equal(found.place % 3, torch.zeros(200, dtype=torch.long))
    assert ((decision >= 0) & (decision < moves)).all()
    share = (decision + 0.5) / moves
    assert float(share.double().mean()) == pytest.approx(0.5, abs=0.03)


def test_places_do_not_depend_on_length(cache):
    view = walk_view(cache)
    found = PROBES["credit"](view).arrays
    middle = found["place"] / (found["length"] - 2).clip(1)
    assert abs(np.corrcoef(found["length"][found["length"] > 3], middle[found["length"] > 3])[0, 1]) < 0.2


@pytest.mark.parametrize(
    "name",
    sorted(name for name, e in TASKS.items() if e.world == "lm" and e.pretrained_here and name != "reasoning_gym"),
)
def test_beginnings_are_right_up_to_their_last_character(name):
    """The character itself lies in a step, and no continuation that a right demonstration offers mends it."""
    task = make_task(name, {})
    problems = task.sample(np.random.default_rng(0), 60, "train")
    found = erring_beginnings(task, problems, np.random.default_rng(1))
    assert len(found) >= 30
    rng, share = np.random.default_rng(2), []
    for problem, text in found:
        drawn = [task.demonstration(problem, rng) for _ in range(300)]
        right = [d for d in drawn if task.verify(problem, d).reward == 1]
        if name != "routes" or len(text) > 1:  # its first letter may name another route: continuations sort that out
            assert not any(d.startswith(text) for d in right)
        alike = [task.boundaries(d)[-1] for d in right if d.startswith(text[:-1])]
        if alike:
            share.append((len(text) - 0.5 * task.step_width) / min(alike))
    assert len(share) > 0.6 * len(found)
    assert np.mean(share) == pytest.approx(0.5, abs=0.12)


def test_corrupted_texts_end_wrong_and_say_where(cache):
    view = view_of("lm", cache)
    found = corrupted_texts(view.world, view.held_out, 4)
    task = view.world.task
    assert all(grade.reward < 1 for grade in found.grades)
    for number, (problem, text) in enumerate(zip(found.problems, found.rollout.responses, strict=True)):
        at = int(found.place[number])  # one character per token here
        step = found.rollout.step[number]
        assert task.boundaries(text)
        assert int(step[at]) == at // task.step_width
        assert task.verify(problem, text).reward < 1
    assert found.rollout.mask.sum(1).max() <= task.max_tokens
    assert (found.place % task.step_width == 1).all()  # the name of a cell: a false one ends all hope
    assert len({int(x) for x in found.place}) > 3


def test_it_says_when_there_is_nothing_to_blame(cache):
    with pytest.raises(CannotRun, match="same blame"):
        PROBES["credit"](view_of("walk", cache, "grpo"))
    problems = [Problem("1=", "1"), Problem("2=", "2")]
    task = FunctionTask(
        lambda rng, n, s: problems, lambda p, r: float(r == p.answer), lambda p, rng: p.answer, "12=", 3
    )
    assert erring_beginnings(task, problems, np.random.default_rng(0)) == []
    view = view_of("lm", cache)
    view.world.task = task
    with pytest.raises(CannotRun, match="lack of steps"):
        PROBES["credit"](replace(view, held_out=problems))


def test_monte_carlo_values_find_the_error(cache):
    """Recipe vineppo, the control of a critic that is noisy but not blind."""
    view = view_of("walk", cache, "vineppo", dials={"size": 16, "horizon": 24, "skill": 4.0})
    found = PROBES["credit"](view).metrics
    assert found["credit/auroc"] > 0.9
    assert found["credit/share"] > 0.8
