"""Panels of the starting policy: what is overwritten shows there alone, what was never learned does not change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.worlds import run, small_spec, trainer_of, view_of
from tests.vapo_core.probes.test_probe_value_error import Critic, flat
from vapo_core.oracles import rare_places
from vapo_core.oracles.rare_places import panels, replayable, standing
from vapo_core.oracles.truth import Truth, position_variance
from vapo_core.probes import PROBES, CannotRun, forgetting
from vapo_core.probes.forgetting import position_error, visit_ratio


def read(view) -> dict[str, float]:
    return {name.removeprefix("forgetting/"): x for name, x in PROBES["forgetting"](view).metrics.items()}


class Overwritten(Critic):
    """Right everywhere but in given (decision, state) cells, where it is off by `size`."""

    def __init__(self, world, cells, size: float):
        super().__init__(world)
        self.values = self.values.clone()
        self.values[cells] += size


def cells_of(view, panel: str):
    """(decision, state) of a panel's places in the walk."""
    fixed = panels(view.pool, view.world.start(), view.seeds)
    at = [fixed.rollout.inputs[name][fixed.row, fixed.time] for name in ("decision", "state")]
    inside = torch.from_numpy(fixed.members[panel])
    return at[0][inside], at[1][inside]


def trained(cache, **numbers):
    """A view after some steps at a rate that moves the policy far."""
    trainer = trainer_of(small_spec("walk", steps=15, numbers={"policy_lr": 0.02, **numbers}), cache)
    run(trainer)
    return trainer._view(15)


def test_a_critic_overwritten_on_rare_places_is_wrong_there_alone(cache):
    """METHODS.md h1c's positive control: an error of 0.2 Var(V) there reads 0.20 there and 0 on frequent places."""
    view = trained(cache)
    size = (0.2 * read(view)["var_v"]) ** 0.5
    view.world.critic = Critic(view.world)
    before = read(view)
    assert all(before[f"fvu_{panel}"] == pytest.approx(0, abs=1e-9) for panel in ("rare", "frequent", "critical"))
    view.world.critic = Overwritten(view.world, cells_of(view, "rare"), size)
    after = read(view)
    assert after["fvu_rare"] == pytest.approx(0.20, abs=1e-4)
    assert after["fvu_frequent"] == pytest.approx(0, abs=1e-9)
    assert after["excess"] - before["excess"] == pytest.approx(0.20, abs=1e-4)


def test_a_critic_bad_on_rare_places_from_the_start_shows_no_change(cache):
    """METHODS.md h1c's negative control: the level is high, its change between two policies far apart is 0."""
    excess = []
    for view in (view_of("walk", cache), trained(cache)):
        size = (0.2 * read(view)["var_v"]) ** 0.5
        view.world.critic = Overwritten(view.world, cells_of(view, "rare"), size)
        excess.append(read(view)["excess"])
    assert excess[0] == pytest.approx(0.20, abs=1e-4)
    assert excess[1] - excess[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("world", ["walk", "lm"])
def test_panels_follow_from_the_starting_policy_alone(world, cache):
    """They stay the same however far the policy moves, and a frozen twin's."""
    first = view_of(world, cache)
    moved = view_of(world, cache)
    far = {"walk": 0.05, "lm": 0.02}[world]  # further, and the text's answers are all wrong: no Var(V)
    with torch.no_grad():
        for p in moved.world.policy.parameters():
            p.add_(far * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    one, other = (panels(v.pool, v.world.start(), v.seeds) for v in (first, moved))
    assert np.array_equal(one.row, other.row)
    assert np.array_equal(one.time, other.time)
    for panel, inside in one.members.items():
        assert np.array_equal(inside, other.members[panel])
        assert 0.05 < inside.mean() < 0.35
    assert read(first)["shift"] == pytest.approx(0, abs=1e-5)
    assert read(moved)["shift"] > 0.01
    assert read(first)["visits_rare"] == pytest.approx(1, abs=1e-4)


def test_rare_is_matched_to_frequent_in_position(cache):
    """Or rare would mean late: mean token numbers agree."""
    view = view_of("walk", cache)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    rare, frequent = (fixed.time[fixed.members[name]].mean() for name in ("rare", "frequent"))
    assert rare == pytest.approx(frequent, abs=1.0)
    reach = view.world.reach(fixed.problems, fixed.rollout).numpy()[fixed.row, fixed.time]
    for time in np.unique(fixed.time):
        here = fixed.time == time
        low, high = reach[here & fixed.members["rare"]], reach[here & fixed.members["frequent"]]
        if len(low) and len(high):
            assert low.max() < high.min()


def test_critical_places_are_where_the_next_token_decides(cache):
    view = view_of("walk", cache)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    values = view.world.exact_at(fixed.rollout, fixed.row, fixed.time)
    change = np.abs(view.world.exact_at(fixed.rollout, fixed.row, fixed.time + 1) - values)
    critical = fixed.members["critical"]
    assert change[critical].min() >= change[~critical].max()


def test_the_walks_reach_is_how_often_it_is_there(cache):
    """Exact visit probabilities against counts over 40,000 walks, and one for all walks at the start."""
    view = view_of("walk", cache)
    problems = view.pool[:4]
    rollout = view.world.engine.generate(problems, 10_000, 5)
    repeated = [p for p in problems for _ in range(10_000)]
    reach = view.world.reach(repeated, rollout).exp()
    at = rollout.inputs["decision"] * view.world.task.states + rollout.inputs["state"]
    cells, number = at[rollout.mask].unique(return_counts=True)
    for cell, count in zip(cells.tolist(), number.tolist(), strict=True):
        p = float(reach[rollout.mask & (at == cell)][0])
        assert count / len(repeated) == pytest.approx(p, abs=5 * (p * (1 - p) / len(repeated)) ** 0.5 + 1e-4)


def test_the_texts_reach_is_the_chance_of_writing_what_stands_before(cache):
    """0 before the first token, then the sum of the recorded log-probabilities."""
    view = view_of("lm", cache)
    rollout = view.world.engine.generate(view.pool[:8], 1, 5)
    reach = view.world.reach(view.pool[:8], rollout)
    assert (reach[:, 0] == 0).all()
    expected = rollout.logp.cumsum(1)[:, :-1].where(rollout.mask[:, 1:], 0.0)
    torch.testing.assert_close(reach[:, 1:], expected, atol=1e-4, rtol=0)


def test_visits_fall_where_the_policy_no_longer_goes(cache):
    """A policy that never walks left never comes to where a first step to the left leads, and more often to the right."""
    view = view_of("walk", cache)
    view = replace(view, pool=view.pool[:1])  # other problems share states: one walker's left is another's right
    start = view.world.start()
    fixed = panels(view.pool, start, view.seeds)
    with torch.no_grad():
        view.world.policy.head.bias[0] = -60.0
    ratio = visit_ratio(view.world, start, fixed)
    paths = [fixed.rollout.responses[r].actions[:t] for r, t in zip(fixed.row, fixed.time, strict=True)]
    one_left = np.array([path == (0,) for path in paths])
    one_right = np.array([path == (1,) for path in paths])
    assert ratio[one_left].max() < 1e-6
    assert ratio[one_right].min() > 1


def test_start_is_the_world_before_training_and_leaves_random_state_alone(cache):
    for name in ("walk", "lm"):
        view = view_of(name, cache)
        with torch.no_grad():
            next(view.world.policy.parameters()).add_(1.0)
        torch.manual_seed(3)
        state = torch.get_rng_state()
        again = view.world.start()
        assert torch.equal(state, torch.get_rng_state())
        fresh = trainer_of(small_spec(name), cache).world
        for a, b in zip(again.policy.parameters(), fresh.policy.parameters(), strict=True):
            assert torch.equal(a, b)


def test_standing_by_hand():
    """Within the group 1: 5, 7, 7 stand at 1/6, 4/6, 4/6; alone in a group: 0.5."""
    found = standing(np.array([5.0, 7.0, 7.0, 1.0]), np.array([1, 1, 1, 2]))
    assert found == pytest.approx([1 / 6, 4 / 6, 4 / 6, 0.5])


def test_position_error_is_unbiased_for_the_best_position_only_critic():
    """Three noisy values per token, thousands of tokens: the mean is the within-token variance of V, noise taken out."""
    rng = np.random.default_rng(0)
    time = np.repeat(np.arange(4_000), 3)
    v = rng.uniform(0.2, 0.4, 4_000)[time] + rng.normal(0, 0.1, len(time))
    seen = v + rng.normal(0, 0.2, len(time))
    truth = Truth(time, time, np.ones_like(time), seen, seen, np.full(len(time), 0.04))
    assert position_error(truth).mean() == pytest.approx(0.01, abs=0.004)
    assert position_error(truth).mean() == pytest.approx(position_variance(truth), abs=1e-9)
    assert np.isnan(position_error(truth.where(np.arange(2)))).all()


def test_forgetting_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["forgetting"](view_of("walk", cache, "grpo"))


def with_members(monkeypatch, fixed, **members):
    """Let the probe find these panels with other members."""
    other = fixed._replace(members=fixed.members | members)
    monkeypatch.setattr(forgetting, "panels", lambda pool, start, seeds: other)


def test_without_rare_or_frequent_places_there_is_nothing_to_forget(cache, monkeypatch):
    """Neither where all places are reached alike, nor where only one of the two panels is empty."""
    view = view_of("walk", cache)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    for panel in ("rare", "frequent"):
        with_members(monkeypatch, fixed, **{panel: np.zeros(len(fixed.row), bool)})
        with pytest.raises(CannotRun, match="more rarely"):
            PROBES["forgetting"](view)
    monkeypatch.undo()
    monkeypatch.setattr(rare_places, "standing", lambda x, group: np.full(len(x), 0.5))
    with pytest.raises(CannotRun, match="more rarely"):
        PROBES["forgetting"](view)


def test_metrics_of_places_that_are_not_there_are_left_out(cache, monkeypatch):
    """No critical places, and no rare place with two others at its token."""
    view = view_of("walk", cache)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    with_members(monkeypatch, fixed, critical=np.zeros(len(fixed.row), bool))
    unknown = np.where(fixed.members["rare"], np.nan, 0)
    monkeypatch.setattr(forgetting, "position_error", lambda truth: position_error(truth) + unknown)
    found = read(view)
    assert np.isfinite(list(found.values())).all()
    assert {"fvu_rare", "visits_rare", "fvu_position_frequent"} <= set(found)
    assert not {"fvu_position_rare", "fvu_critical", "fvu_position_critical", "visits_critical"} & set(found)


def test_shares_of_a_variance_that_may_be_zero_are_left_out(cache, monkeypatch):
    view = view_of("walk", cache)
    monkeypatch.setattr(forgetting, "truth_at", lambda *given: flat(len(given[3])))
    with pytest.raises(CannotRun, match="too near 0"):
        PROBES["forgetting"](view)


def test_the_rare_places_of_every_other_prompt_are_kept_from_rehearsal(cache, monkeypatch):
    """A critic wrong on them alone: fvu_rare_kept is 0.20, fvu_rare less by the share of rare places that are kept."""
    view = view_of("lm", cache)
    fixed = panels(view.pool, view.world.start(), view.seeds)
    rare, allowed = fixed.members["rare"], replayable(fixed)
    kept = rare & ~allowed
    assert allowed.any()
    assert kept.any()
    assert not (allowed & ~rare).any()
    assert not set(fixed.prompts[allowed]) & set(fixed.prompts[kept])
    value = np.linspace(0, 1, len(rare))
    truth = Truth(fixed.row, fixed.time, fixed.time + 2, value + 0.2**0.5 * value.std(ddof=1) * kept, value, 0 * value)
    monkeypatch.setattr(forgetting, "truth_at", lambda *given: truth)
    found = read(view)
    assert found["fvu_rare_kept"] == pytest.approx(0.20)
    assert found["fvu_rare"] == pytest.approx(0.20 * kept.sum() / rare.sum())
