"""What a critic can see: the fractions on planted data, and the bootstrap they rest on."""

import numpy as np
import pytest

from analysis.statistics.bootstrap import cluster_bootstrap
from experiments.task_checks.visibility import fractions
from vapo_core.oracles.truth import Truth


def planted(error: float, prompts: int = 200, per_prompt: int = 4) -> tuple[Truth, np.ndarray]:
    """Values that depend on the prompt and a little on the position; a critic with this error variance share."""
    rng = np.random.default_rng(0)
    prompt = np.repeat(np.arange(prompts), per_prompt)
    time = np.tile(np.arange(per_prompt), prompts)
    v = np.clip(rng.uniform(0.2, 0.7, prompts)[prompt] + 0.08 * (time - 1.5), 0.01, 0.99)
    returns = (rng.random((len(v), 64)) < v[:, None]).astype(float)
    critic = v + rng.normal(0, np.sqrt(error * v.var()), len(v))
    noise = returns.var(axis=1, ddof=1) / 64
    return Truth(np.arange(len(v)), time, np.full(len(v), per_prompt), critic, returns.mean(1), noise), prompt


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_fvu_reads_the_planted_error(error):
    """METHODS.md's h1a controls: V plus an error of 0.2 Var(V) must read 0.20, V itself 0."""
    found, prompt = planted(error)
    named = fractions(found, prompt, seed=1)
    assert named["fvu_critic"] == pytest.approx(error, abs=0.03)
    assert named["fvu_critic_low"] <= named["fvu_critic"] <= named["fvu_critic_high"]


def test_position_explains_its_share():
    """The position carries a known part of the variance of V here; the rest is left unexplained."""
    found, prompt = planted(0.0)
    v = found.critic
    inside = np.mean([v[found.time == t].var() for t in range(4)])
    assert fractions(found, prompt, seed=1)["fvu_position"] == pytest.approx(inside / v.var(), abs=0.03)


def test_cluster_bootstrap_covers_where_a_plain_one_would_not():
    """Rows of a cluster are copies: the interval must be that of the clusters, about 1.96 sd / sqrt(clusters)."""
    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(size=100), 25)
    clusters = np.repeat(np.arange(100), 25)
    interval = cluster_bootstrap(lambda rows: float(x[rows].mean()), clusters, rng)
    width = interval.high - interval.low
    assert width == pytest.approx(2 * 1.96 * x.std() / 10, rel=0.15)


def test_cluster_bootstrap_needs_two_clusters():
    with pytest.raises(ValueError, match="at least 2 clusters"):
        cluster_bootstrap(lambda rows: 0.0, np.zeros(5), np.random.default_rng(0))
