"""Gap captured: 1 for the truth, -1 for its reverse, 0 for a coin, whatever noise the continuations add."""

import numpy as np
import pytest
import torch

from tests.support.worlds import view_of
from tests.vapo_core.probes.test_probe_value_error import Critic
from vapo_core.probes import PROBES, CannotRun, ranking
from vapo_core.probes.ranking import mean_gap, pairs


def captured(view) -> float:
    return PROBES["ranking"](view).metrics["ranking/gap_captured"]


def test_the_truth_captures_all_its_reverse_loses_all_and_a_constant_nothing(cache):
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world)
    assert captured(view) == pytest.approx(1)
    view.world.critic = Critic(view.world, lambda v: 3 - v)
    assert captured(view) == pytest.approx(-1)
    view.world.critic = Critic(view.world, torch.ones_like)
    assert captured(view) == 0


def test_only_order_counts(cache):
    """A critic that is wrong everywhere but in the same order ranks perfectly (METHODS.md h5a)."""
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world, lambda v: 0.3 + 0.01 * v**3)
    assert captured(view) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("filler", [0, 2])
def test_alternatives_in_the_walk_are_both_moves_with_exact_values(filler, cache):
    """Each pair stands one decision after the same state; a place at the horizon's end has no alternatives."""
    view = view_of("walk", cache, dials={"size": 8, "horizon": 12, "filler": filler})
    world, problems = view.world, view.held_out[:5]
    rollout = world.engine.generate(problems, 1, 3)
    found = world.branches(problems, rollout, 1, 0)
    first, second = pairs(found.place)
    assert len(first) == len(np.unique(found.place)) > 5
    inputs = {name: x.numpy() for name, x in found.responses.inputs.items()}
    before = [inputs["state"][found.row[i], found.time[i] - 1 - filler] for i in (first, second)]
    assert np.array_equal(*before)
    for side, way in ((first, 0), (second, 1)):
        after = inputs["state"][found.row[side], found.time[side]]
        assert np.array_equal(after, world.task.transitions[before[0], way])
    assert inputs["decision"][found.row, found.time].max() <= world.task.dials.horizon - 1


def test_alternatives_on_text_differ_share_their_prefix_and_do_not_end(cache):
    view = view_of("lm", cache)
    world = view.world
    problems = [view.held_out[i % len(view.held_out)] for i in range(48)]
    rollout = world.engine.generate(problems, 1, 3)
    found = world.branches(problems, rollout, 40, 0)
    first, second = pairs(found.place)
    assert len(first) > 3
    for i, j in zip(first, second, strict=True):
        one, other = (found.responses.responses[found.row[k]][: found.time[k]] for k in (i, j))
        assert one != other
        assert one[:-2] == other[:-2]  # a move is two characters
        assert len(one) == len(other) == found.time[i]
        assert problems_equal(found, i, j)
    lengths = found.responses.mask.sum(1).numpy()[found.row]
    assert (found.time < lengths).all()


def problems_equal(found, i, j) -> bool:
    return found.problems[found.row[i]] == found.problems[found.row[j]]


def test_equal_prefixes_on_text_count_once(cache):
    """One prompt asked many times: its start is one place, however often it is picked."""
    view = view_of("lm", cache)
    problems = [view.held_out[0]] * 20
    rollout = view.world.engine.generate(problems, 1, 3)
    found = view.world.branches(problems, rollout, 1000, 0)
    texts = [found.responses.responses[r][:t] for r, t in zip(found.row, found.time, strict=True)]
    assert len(set(texts)) == len(texts) > 1


def test_pairs_are_within_places_and_counted_once():
    first, second = pairs(np.array([0, 0, 3, 5, 5, 5]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (3, 4), (3, 5), (4, 5)]


def test_the_gap_is_nearly_free_of_noise_where_the_plain_one_is_not():
    """Uniform chances, K = 32 in each half: the plain mean of |V_a - V_b| is 8 % too large, ours within 2 %."""
    rng = np.random.default_rng(0)
    a = rng.uniform(0.05, 0.6, 200_000)
    b = np.clip(a + rng.normal(0, 0.2, len(a)), 0, 1)
    true = np.abs(a - b).mean()
    one, other = (rng.binomial(32, a) / 32 - rng.binomial(32, b) / 32 for _ in range(2))
    assert mean_gap(one, other) == pytest.approx(true, rel=0.02)
    assert np.abs((one + other) / 2).mean() > 1.06 * true
    assert mean_gap(a - b, a - b) == pytest.approx(true)


def test_ranking_leaves_out_what_cannot_be_ranked(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["ranking"](view_of("walk", cache, "grpo"))
    view = view_of("walk", cache)
    view.world.task.__dict__["stop_reward"] = np.zeros(view.world.task.states)
    with pytest.raises(CannotRun, match="do not differ"):
        PROBES["ranking"](view)


def sampled(values):
    """`values_at` whose values are the means of K results with the chances that `values` makes of the exact ones."""
    exact_at = ranking.values_at

    def seen(*given):
        chance, k = values(exact_at(*given)[0]), given[-2]
        found = np.random.default_rng(given[-1]).binomial(k, chance) / k
        return found, found * (1 - found) / (k - 1)

    return seen


def test_ties_seen_through_noise_are_not_ranked(cache, monkeypatch):
    """All alternatives worth 0.5: the mean gap reads 0.04, far above the floor, but the halves do not agree."""
    view = view_of("walk", cache)
    monkeypatch.setattr(ranking, "values_at", sampled(lambda v: np.full(len(v), 0.5)))
    with pytest.raises(CannotRun, match="do not differ"):
        PROBES["ranking"](view)


def test_differences_seen_through_noise_are_ranked(cache, monkeypatch):
    view = view_of("walk", cache)
    view.world.critic = Critic(view.world)
    monkeypatch.setattr(ranking, "values_at", sampled(lambda v: v.clip(0, 1)))
    found = PROBES["ranking"](view).metrics
    assert found["ranking/gap_captured_low"] < found["ranking/gap_captured"] < found["ranking/gap_captured_high"]
    assert found["ranking/gap_captured"] > 0.5


def test_a_gap_that_is_all_one_prompts_has_no_interval(cache, monkeypatch):
    """Without that prompt nothing is left to divide by."""
    view = view_of("walk", cache)
    plain = PROBES["ranking"](view).metrics
    assert plain["ranking/gap_captured_low"] < plain["ranking/gap_captured"] < plain["ranking/gap_captured_high"]

    def only_the_first(world, responses, problems, row, time, continuations, seed):
        mine = np.array([problems[i].prompt == problems[0].prompt for i in range(len(row))])
        return np.where(mine, np.arange(len(row)) % 2, 0.0), np.zeros(len(row))

    monkeypatch.setattr(ranking, "values_at", only_the_first)
    found = PROBES["ranking"](view).metrics
    assert found["ranking/gap"] > 0
    assert "ranking/gap_captured_low" not in found
