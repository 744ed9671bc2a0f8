"""Exact moments, values and gradients over random MDPs; `make soak` makes the full count (table: tests/soak/moments.csv)."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.support.simulation import moments
from tests.vapo_core.oracles.test_tabular import responses
from vapo_core.oracles.instances import InstanceDials, reasoning_mdp
from vapo_core.oracles.tabular import Moments, TabularMDP

TABLE = Path(__file__).parents[2] / "soak" / "moments.csv"


def test_moments_against_simulation(tmp_path):
    """6 MDPs, all rules, three errors, 4,000 responses each: no cell far off, about 95 % within 1.96 standard errors."""
    cells = moments.all_cells(6, 4000, seed=1, errors=("none", "state", "fresh"))
    whole = moments.grouped(cells)[0]
    assert whole["cells"] == 6 * 3 * len(moments.RULES) * len(moments.QUANTITIES)
    assert 0.88 < whole["coverage"] <= 1  # cells of one MDP and error move together
    assert whole["largest_z"] < 5


@pytest.mark.parametrize(("mean", "square"), [(1.1, 1.0), (1.0, 1.1)])
def test_wrong_moments_are_seen(mean, square, monkeypatch):
    """Off by a tenth, they are many standard errors off."""
    exact = moments.rule_of

    def wrong(*args):
        found, *rest = exact(*args)
        return Moments(mean * found.mean, square * found.square), *rest

    monkeypatch.setattr(moments, "rule_of", wrong)
    z = [abs(c.z) for c in moments.all_cells(2, 20_000, seed=1, errors=("state",))]
    assert max(z) > 5


def test_the_committed_table_is_of_fifty_mdps_and_covers_at_its_rate():
    with TABLE.open() as handle:
        lines = list(csv.DictReader(handle))
    whole, *groups = lines
    assert int(whole["mdps"]) >= 50
    assert int(whole["samples"]) >= 100_000
    assert 0.93 <= float(whole["coverage"]) <= 0.97
    assert max(float(line["largest_z"]) for line in lines) < 5
    axes = {"lengths": {"fixed", "variable"}, "error": set(moments.ERRORS), "rule": set(moments.RULES)}
    for axis, values in axes.items():
        assert {line[axis] for line in groups} == values | {"all"}


FIFTY = [(seed, 0.25 * (seed % 2)) for seed in range(50)]


def small(seed: int, stop: float) -> TabularMDP:
    dials = InstanceDials(horizon=3 + seed % 2, branching=2 + seed % 3 // 2, situations=2, stop=stop, notice=1)
    return reasoning_mdp(dials, np.random.default_rng([7, seed])).mdp


@pytest.mark.parametrize(("seed", "stop"), FIFTY)
def test_values_equal_enumeration_at_every_state(seed, stop):
    """V by the mean reward of all continuations, to 1e-8 (found: 1e-15)."""
    mdp = small(seed, stop)
    horizon, situations, _ = mdp.shape
    for t in range(horizon):
        for s in range(situations):
            rest = TabularMDP(mdp.next[t:], mdp.ends[t:], mdp.reward[t:], mdp.policy[t:], np.eye(situations)[s])
            assert mdp.values[t, s] == pytest.approx(sum(p.chance * p.reward for p in responses(rest)), abs=1e-12)


@pytest.mark.parametrize(("seed", "stop"), FIFTY)
def test_gradient_equals_finite_differences_of_the_enumerated_return(seed, stop):
    """By the logits in random directions, to 1e-8."""
    mdp, rng = small(seed, stop), np.random.default_rng(seed)
    for _ in range(2):
        direction = rng.normal(size=mdp.shape)

        def j(step: float, direction=direction) -> float:
            raised = mdp.policy * np.exp(step * direction)
            moved = TabularMDP(mdp.next, mdp.ends, mdp.reward, raised / raised.sum(2, keepdims=True), mdp.start)
            return sum(p.chance * p.reward for p in responses(moved))

        slope = (8 * (j(1e-3) - j(-1e-3)) - (j(2e-3) - j(-2e-3))) / 12e-3
        assert slope == pytest.approx(float((mdp.gradient * direction).sum()), abs=1e-8)
