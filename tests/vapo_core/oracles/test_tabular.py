"""The exact oracle against enumeration of every response and finite differences; simulation is in test_moments."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from vapo_core.functional.advantages import gae
from vapo_core.oracles.instances import InstanceDials, critic_with_error, reasoning_mdp
from vapo_core.oracles.tabular import (
    TabularMDP,
    adaptive,
    by_length,
    constant_lambda,
    independent_lambda,
    sample_equivalents,
)

SMALL = [
    InstanceDials(horizon=4, branching=2, situations=2, stop=0.3),
    InstanceDials(horizon=4, branching=2, situations=2),
    InstanceDials(horizon=3, branching=2, situations=2, stop=0.3, filler=1),
    InstanceDials(horizon=4, branching=2, situations=2, stop=0.2, fatal=0.4, notice=2),
]
ERRORS = ["none", "constant", "position", "state", "autocorrelated", "self_similar", "shrinkage", "late_notice"]


class Response(NamedTuple):
    chance: float
    states: list[int]
    actions: list[int]
    reward: float


def responses(mdp: TabularMDP) -> list[Response]:
    """Every response with its probability."""
    found: list[Response] = []

    def go(t: int, s: int, chance: float, states: list[int], actions: list[int]) -> None:
        for a, p in enumerate(mdp.policy[t, s]):
            if p == 0:
                continue
            path = Response(chance * p, [*states, s], [*actions, a], float(mdp.reward[t, s, a]))
            if mdp.ends[t, s, a]:
                found.append(path)
            else:
                go(t + 1, int(mdp.next[t, s, a]), path.chance, path.states, path.actions)

    for s, p in enumerate(mdp.start):
        if p > 0:
            go(0, s, float(p), [], [])
    return found


def enumerated(mdp: TabularMDP, critic: np.ndarray, lam, weight, noise: float = 0.0) -> tuple[np.ndarray, float]:
    """E[g] and E|g|^2 over all responses; advantages by the trainer's own gae, the fresh noise by its closed form."""
    mean, square = np.zeros_like(mdp.policy), 0.0
    for path in responses(mdp):
        length = len(path.states)
        rewards = torch.zeros(1, length, dtype=torch.double)
        rewards[0, -1] = path.reward
        values = torch.tensor([[critic[t, s] for t, s in enumerate(path.states)]], dtype=torch.double)
        advantages = gae(rewards, values, torch.ones(1, length, dtype=torch.bool), lam(length))[0].numpy()
        g = np.zeros_like(mean)
        for t, (s, a) in enumerate(zip(path.states, path.actions, strict=True)):
            score = -mdp.policy[t, s].copy()
            score[a] += 1
            g[t, s] += weight(length) * score * advantages[t]
            rest = sum(lam(length) ** (2 * k) for k in range(length - 1 - t))
            spread = noise**2 * (1 + (1 - lam(length)) ** 2 * rest)
            square += path.chance * weight(length) ** 2 * float(score @ score) * spread
        mean += path.chance * g
        square += path.chance * float((g**2).sum())
    return mean, square


@pytest.mark.parametrize("dials", SMALL)
def test_values_gradient_and_lengths_equal_enumeration(dials):
    mdp = reasoning_mdp(dials, np.random.default_rng(1)).mdp
    paths = responses(mdp)
    assert sum(p.chance for p in paths) == pytest.approx(1, abs=1e-12)
    j = sum(p.chance * p.reward for p in paths)
    assert mdp.expected_return == pytest.approx(j, abs=1e-12)
    assert mdp.return_variance == pytest.approx(sum(p.chance * p.reward**2 for p in paths) - j**2, abs=1e-12)
    lengths = np.zeros(mdp.shape[0] + 1)
    for path in paths:
        lengths[len(path.states)] += path.chance
    np.testing.assert_allclose(mdp.length_probabilities, lengths, atol=1e-12)
    truth, _ = enumerated(mdp, np.zeros_like(mdp.values), lambda _: 1.0, lambda _: 1.0)
    np.testing.assert_allclose(mdp.gradient, truth, atol=1e-12)


@pytest.mark.parametrize("dials", SMALL)
def test_gradient_equals_finite_differences(dials):
    """By the logits, to 1e-8 in double precision."""
    mdp = reasoning_mdp(dials, np.random.default_rng(2)).mdp
    free = (mdp.policy > 0).sum(2) > 1
    logits = np.log(np.where(mdp.policy > 0, mdp.policy, 1e-300))
    rng = np.random.default_rng(0)
    for _ in range(20):
        direction = rng.normal(size=logits.shape) * free[:, :, None] * (mdp.policy > 0)

        def j(step: float, direction=direction) -> float:
            raised = np.exp(logits + step * direction)
            return TabularMDP(
                mdp.next, mdp.ends, mdp.reward, raised / raised.sum(2, keepdims=True), mdp.start
            ).expected_return

        slope = (8 * (j(1e-3) - j(-1e-3)) - (j(2e-3) - j(-2e-3))) / 12e-3
        assert slope == pytest.approx(float((mdp.gradient * direction).sum()), abs=1e-8)


@pytest.mark.parametrize("dials", SMALL)
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_constant_lambda_moments_equal_enumeration(dials, kind, lam):
    rng = np.random.default_rng(3)
    instance = reasoning_mdp(dials, rng)
    critic = critic_with_error(instance, kind, 0.2, rng)
    found = constant_lambda(instance.mdp, critic, lam, noise=0.3, weight=0.5)
    mean, square = enumerated(instance.mdp, critic, lambda _: lam, lambda _: 0.5, noise=0.3)
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    assert found.square == pytest.approx(square, abs=1e-12)


@pytest.mark.parametrize("dials", SMALL)
@pytest.mark.parametrize("kind", ["none", "state", "autocorrelated"])
def test_moments_by_own_length_equal_enumeration(dials, kind):
    """VAPO's rule and the sequence mean, both functions of the response's own length."""
    rng = np.random.default_rng(4)
    instance = reasoning_mdp(dials, rng)
    critic, lam = critic_with_error(instance, kind, 0.2, rng), adaptive(0.6, instance.mdp.shape[0])
    weight = np.concatenate([[0.0], 1 / np.arange(1, instance.mdp.shape[0] + 1)])
    found = by_length(instance.mdp, critic, lam, weight, noise=0.2)
    mean, square = enumerated(instance.mdp, critic, lam.__getitem__, weight.__getitem__, noise=0.2)
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    assert found.square == pytest.approx(square, abs=1e-12)


def test_by_length_with_one_lambda_is_the_constant_rule():
    rng = np.random.default_rng(5)
    instance = reasoning_mdp(InstanceDials(horizon=40, stop=0.05), rng)
    critic = critic_with_error(instance, "state", 0.1, rng)
    one = constant_lambda(instance.mdp, critic, 0.9, noise=0.1)
    many = by_length(instance.mdp, critic, np.full(41, 0.9), noise=0.1)
    np.testing.assert_allclose(one.mean, many.mean, atol=1e-12)
    assert one.square == pytest.approx(many.square, rel=1e-10)


def test_r1_bias_of_a_frozen_error_falls_with_lambda_and_is_zero_at_one():
    """Linear in its size, too: doubling sigma doubles the bias."""
    rng = np.random.default_rng(7)
    instance = reasoning_mdp(InstanceDials(horizon=12), rng)
    truth = instance.mdp.gradient
    one, two = (critic_with_error(instance, "state", size, np.random.default_rng(8)) for size in (0.1, 0.2))
    bias = [constant_lambda(instance.mdp, one, lam).bias(truth) for lam in (0.0, 0.5, 0.9, 1.0)]
    assert bias == sorted(bias, reverse=True)
    assert bias[-1] == pytest.approx(0, abs=1e-12)
    assert constant_lambda(instance.mdp, two, 0.5).bias(truth) == pytest.approx(2 * bias[1], rel=1e-9)


def test_r1_position_error_is_harmless_at_fixed_length_and_not_at_variable_length():
    for stop, harmless in ((0.0, True), (0.15, False)):
        rng = np.random.default_rng(9)
        instance = reasoning_mdp(InstanceDials(horizon=10, stop=stop), rng)
        critic = critic_with_error(instance, "position", 0.2, rng)
        bias = constant_lambda(instance.mdp, critic, 0.5).bias(instance.mdp.gradient)
        assert (bias < 1e-12) if harmless else (bias > 0.1)


def test_r1_fresh_noise_adds_variance_only():
    rng = np.random.default_rng(10)
    instance = reasoning_mdp(InstanceDials(horizon=10, stop=0.1), rng)
    quiet = constant_lambda(instance.mdp, instance.mdp.values, 0.7)
    noisy = constant_lambda(instance.mdp, instance.mdp.values, 0.7, noise=0.3)
    np.testing.assert_allclose(quiet.mean, noisy.mean, atol=1e-14)
    assert noisy.variance() > quiet.variance()


def test_r3_exact_critic_has_its_best_quality_at_lambda_zero():
    for seed in range(5):
        mdp = reasoning_mdp(InstanceDials(horizon=12, stop=0.05 * (seed % 2)), np.random.default_rng(seed)).mdp
        quality = [constant_lambda(mdp, mdp.values, lam).quality(mdp.gradient, 8) for lam in (0.0, 0.3, 0.6, 0.9, 1.0)]
        assert quality == sorted(quality, reverse=True)


def test_quality_ignores_shrinkage_and_is_one_without_bias_or_noise():
    """METHODS.md section 0: a shrunken critic's lambda = 0 direction is never wrong, whatever the scale."""
    rng = np.random.default_rng(11)
    instance = reasoning_mdp(InstanceDials(horizon=10), rng)
    truth = instance.mdp.gradient
    exact = constant_lambda(instance.mdp, instance.mdp.values, 1.0)
    assert exact.quality(truth, 1e12) == pytest.approx(1, abs=1e-6)
    scaled = constant_lambda(instance.mdp, instance.mdp.values, 1.0, weight=0.01)
    assert scaled.quality(truth, 64) == pytest.approx(exact.quality(truth, 64), rel=1e-12)


def test_sample_equivalents_by_definition():
    """With that factor on the batch the worse rule has exactly the better one's quality."""
    rng = np.random.default_rng(12)
    mdp = reasoning_mdp(InstanceDials(horizon=12), rng).mdp
    better, worse = (constant_lambda(mdp, mdp.values, lam) for lam in (0.0, 1.0))
    factor = sample_equivalents(worse, better, mdp.gradient, 16)
    assert factor > 1
    assert worse.quality(mdp.gradient, 16 * factor) == pytest.approx(better.quality(mdp.gradient, 16), rel=1e-9)


def test_r11_own_length_biases_even_an_exact_critic_and_anothers_length_does_not():
    biased, clean = [], []
    for seed in range(10):
        mdp = reasoning_mdp(InstanceDials(horizon=6, stop=0.25), np.random.default_rng(seed)).mdp
        lam = adaptive(0.5, 6)
        biased.append(by_length(mdp, mdp.values, lam).bias(mdp.gradient))
        clean.append(independent_lambda(mdp, mdp.values, lam).bias(mdp.gradient))
    assert np.mean(biased) > 0.01
    assert np.max(clean) < 1e-12


def test_r11_is_inactive_at_fixed_length():
    mdp = reasoning_mdp(InstanceDials(horizon=6), np.random.default_rng(0)).mdp
    assert by_length(mdp, mdp.values, adaptive(0.5, 6)).bias(mdp.gradient) < 1e-12
