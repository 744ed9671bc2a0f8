"""Probes read only, and each tells a planted effect from none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.worlds import run, small_spec, trainer_of
from vapo_core.metrics import METRICS
from vapo_core.oracles.truth import Truth, position_variance, squared_error, value_variance
from vapo_core.probes import PROBES, CannotRun
from vapo_core.probes.gradient_variance import contributions, noise_statistics, per_response_gradients
from vapo_core.types import Batch


def view_of(world: str, cache, recipe: str = "vapo"):
    trainer = trainer_of(small_spec(world, recipe), cache)
    trainer.steps = 0
    run(trainer)
    return trainer._view(0)


@pytest.mark.parametrize("world", ["walk", "lm"])
@pytest.mark.parametrize("name", sorted(PROBES))
def test_probe_reads_only_repeats_and_logs_known_names(world, name, cache):
    """Weights, optimiser-visible gradients and global random state stay; the same call gives the same numbers."""
    view = view_of(world, cache)
    modules = (view.world.policy, view.world.critic)
    before = [p.clone() for m in modules for p in m.parameters()]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = PROBES[name](view)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, (p for m in modules for p in m.parameters()), strict=True))
    assert all(p.grad is None for m in modules for p in m.parameters())
    assert dict(first.metrics) == dict(PROBES[name](view).metrics)
    assert set(first.metrics) <= set(METRICS)
    assert len({len(column) for column in first.arrays.values()}) <= 1


def test_a_run_with_probes_equals_the_run_without(cache):
    """Measuring changes nothing of what is measured."""
    plain = trainer_of(small_spec("walk"), cache)
    probed = trainer_of(small_spec("walk"), cache)
    probed.probes = dict.fromkeys(PROBES, 1)
    run(plain)
    points = run(probed)
    for a, b in zip(plain.world.policy.parameters(), probed.world.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all("value_error/fvu_held_out" in metrics for step, metrics in points if step)


def test_value_error_of_an_oracle_critic_is_zero_and_of_a_blind_one_is_one(cache):
    view = view_of("walk", cache)
    values = view.world.exact_values().detach()

    class Oracle(torch.nn.Module):
        def forward(self, batch):
            found = values[batch.inputs["decision"], batch.inputs["state"]]
            return found.where(batch.mask, 0.0)

    view.world.critic = Oracle()
    metrics = PROBES["value_error"](view).metrics
    assert metrics["value_error/fvu_held_out"] == pytest.approx(0, abs=1e-9)
    mean = metrics["value_error/var_v_held_out"]
    assert mean > 0

    class Blind(torch.nn.Module):
        level = 0.0

        def forward(self, batch):
            return torch.full(batch.mask.shape, self.level)

    blind = Blind()
    view.world.critic = blind
    blind.level = -float(PROBES["value_error"](view).metrics["value_error/bias_held_out"])  # the mean of V
    assert PROBES["value_error"](view).metrics["value_error/fvu_held_out"] == pytest.approx(1, abs=0.01)


def test_value_error_needs_a_critic(cache):
    with pytest.raises(CannotRun, match="no critic"):
        PROBES["value_error"](view_of("walk", cache, "grpo"))


def test_a_probe_that_cannot_run_says_so_once_and_logs_nothing(cache, capsys):
    trainer = trainer_of(small_spec("walk", "grpo"), cache)
    trainer.probes = {"value_error": 1}
    points = run(trainer)
    assert not [name for _, metrics in points for name in metrics if name.startswith("value_error")]
    assert capsys.readouterr().err.count("left out") == 1


@pytest.mark.parametrize("k", [4, 16])
def test_debiased_estimates_where_plain_ones_are_biased(k):
    """Errors of 0.2 Var(V), read through K continuations: ours reads 0.20, the plain ratio does not."""
    rng = np.random.default_rng(0)
    time = rng.integers(8, size=40_000)
    v = rng.uniform(0.1, 0.6, len(time)) + 0.04 * time
    returns = rng.random((len(v), k)) < v[:, None]
    critic = v + rng.normal(0, np.sqrt(0.2 * v.var()), len(v))
    truth = Truth(
        np.zeros(len(v), int), time, np.full(len(v), 8), critic, returns.mean(1), returns.var(axis=1, ddof=1) / k
    )
    assert squared_error(truth) / value_variance(truth) == pytest.approx(0.20, abs=0.02)
    plain = np.mean((critic - truth.value) ** 2) / truth.value.var()
    assert abs(plain - 0.20) > 0.05
    inside = np.mean([v[time == t].var() for t in range(8)])
    assert position_variance(truth) / value_variance(truth) == pytest.approx(inside / v.var(), abs=0.02)


def test_per_response_gradients_add_up_to_the_batch_gradient(cache):
    """And the two reductions' contributions have the batch gradients as their means."""
    view = view_of("walk", cache)
    rollout = view.world.engine.generate(view.pool[:8], 4, 1)
    batch = Batch.ungraded(rollout)
    advantages = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0)).where(batch.mask, 0.0)
    rows = per_response_gradients(view.world.policy, batch, advantages)
    parameters = list(view.world.policy.parameters())

    def whole(reduce) -> np.ndarray:
        logp, _ = view.world.policy(batch)
        found = torch.autograd.grad(reduce(-(advantages * logp)), parameters)
        return torch.cat([g.reshape(-1) for g in found]).double().numpy()

    lengths = batch.lengths.double().numpy()
    np.testing.assert_allclose(rows.sum(0), whole(torch.sum), atol=1e-4)
    by_reduction = contributions(rows, lengths)
    np.testing.assert_allclose(by_reduction["token"].mean(0), whole(lambda x: x.sum() / batch.mask.sum()), atol=1e-5)
    np.testing.assert_allclose(
        by_reduction["sequence"].mean(0), whole(lambda x: (x.sum(1) / batch.lengths).mean()), atol=1e-5
    )


def test_noise_statistics_are_unbiased_where_the_plain_ones_are_not():
    """METHODS section 3: with |G|^2 = 1, tr S = 10,000 and B = 64, the plain ratio tends to B."""
    rng = np.random.default_rng(1)
    dimensions, batch = 400, 64
    direction = np.zeros(dimensions)
    direction[0] = 1.0
    found, plain = [], []
    for _ in range(3000):
        rows = direction + rng.normal(0, np.sqrt(10_000 / dimensions), size=(batch, dimensions))
        found.append(noise_statistics(rows, np.arange(batch)))
        plain.append(found[-1][0] / float((rows.mean(0) ** 2).sum()))
    trace, square = np.mean(found, axis=0)
    assert trace == pytest.approx(10_000, rel=0.01)
    assert square == pytest.approx(1.0, abs=0.8)  # se about 0.2
    assert np.mean(plain) == pytest.approx(64, rel=0.05)


def test_clustered_prompts_raise_the_noise_by_their_intraclass_correlation():
    """R13: relative to G = 1 the trace is 1 + (G - 1) ICC."""
    rng = np.random.default_rng(2)
    prompts, answers = 2000, 4
    between = rng.normal(0, np.sqrt(0.25), size=(prompts, 1, 5))
    rows = (between + rng.normal(0, np.sqrt(0.75), size=(prompts, answers, 5))).reshape(-1, 5)
    trace, _ = noise_statistics(rows, np.repeat(np.arange(prompts), answers))
    assert trace == pytest.approx(5 * (1 + 3 * 0.25), rel=0.05)


def test_identical_responses_have_no_variance():
    rows = np.tile(np.arange(6.0), (8, 1))
    trace, square = noise_statistics(rows, np.arange(8))
    assert trace == pytest.approx(0, abs=1e-12)
    assert square == pytest.approx(55.0)


def test_noise_scale_is_left_out_when_it_cannot_be_resolved(cache):
    """Pure noise around 0: no number rather than a wild one."""
    from vapo_core.probes.gradient_variance import _statistics

    rows = np.random.default_rng(3).normal(size=(64, 200))
    found = _statistics(rows, np.arange(64), None)
    assert set(found) == {"trace"}


def test_exploration_of_a_uniform_policy_reads_the_logarithm_of_the_actions(cache):
    view = view_of("walk", cache)
    for p in view.world.policy.parameters():
        p.data.zero_()
    view.world.policy.prior.zero_()
    assert PROBES["exploration"](view).metrics["exploration/prefix_entropy"] == pytest.approx(np.log(3), abs=1e-5)


def test_exploration_counts_modes_and_their_evenness(cache):
    """Two goals, uniform base: both modes are found; a policy that only walks one way finds one."""
    trainer = trainer_of(
        small_spec("walk", dials={"size": 8, "horizon": 16, "modes": 2, "hazard": 0, "skill": 15.0}), cache
    )
    view = trainer._view(0)
    both = PROBES["exploration"](view).metrics
    assert both["exploration/modes"] > 1
    assert 0.2 < both["exploration/mode_entropy"] <= 1
    with torch.no_grad():
        view.world.policy.head.bias[0] = -50.0
    one = PROBES["exploration"](replace(view)).metrics
    assert one["exploration/modes"] <= 1


def test_demonstrated_responses_are_the_demonstrations(cache):
    view = view_of("lm", cache)
    fixed = view.world.demonstrated(view.pool[:4], 3)
    rng = np.random.default_rng(3)
    expected = [view.world.task.demonstration(p, rng) for p in view.pool[:4]]
    assert fixed.lengths.tolist() == [len(text) + 1 for text in expected]
    walk = view_of("walk", cache)
    fixed = walk.world.demonstrated(walk.pool[:4], 3)
    assert fixed.lengths.tolist() == [int(p.difficulty) for p in walk.pool[:4]]


def test_policy_shift_of_a_frozen_policy_is_zero(cache):
    trainer = trainer_of(small_spec("walk", numbers={"policy_lr": 0.0}), cache)
    metrics = PROBES["policy_shift"](trainer._view(0)).metrics
    assert metrics["policy_shift/kl_response"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy_shift/delta_j"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy_shift/outside"] == 0


def test_policy_shift_grows_with_the_rate_and_improves_j(cache):
    """KL grows about with the square of the step; a small step along a good gradient raises J."""
    found = []
    for rate in (1e-4, 1e-3):
        trainer = trainer_of(small_spec("walk", numbers={"policy_lr": rate, "responses_per_step": 512}), cache)
        found.append(PROBES["policy_shift"](trainer._view(0)).metrics)
    assert found[1]["policy_shift/kl_response"] > 20 * found[0]["policy_shift/kl_response"]
    assert found[1]["policy_shift/delta_j"] > found[0]["policy_shift/delta_j"] > 0


def test_paired_change_is_unbiased_and_sharper_than_two_evaluations():
    """Two Bernoulli-coin policies with known J: the paired estimate is right and its error a tenth of the unpaired."""
    from vapo_core.probes.policy_shift import paired_change

    rng = torch.Generator().manual_seed(0)
    old, new, n = 0.4, 0.41, 4096
    errors = []
    for _ in range(200):
        hit = torch.rand(n, generator=rng) < old
        ratio = torch.where(hit, torch.tensor(new / old), torch.tensor((1 - new) / (1 - old))).log()
        change, error = paired_change(ratio, hit.float())
        errors.append(((change - (new - old)), error))
    found = torch.tensor(errors)
    assert abs(float(found[:, 0].mean())) < 4 * float(found[:, 0].std()) / 200**0.5
    assert float(found[:, 0].std()) < 0.1 * (2 * old * (1 - old) / n) ** 0.5
    assert float(found[:, 1].mean()) == pytest.approx(float(found[:, 0].std()), rel=0.2)


def test_generalization_measures_every_split_the_task_has(cache):
    view = view_of("walk", cache)
    metrics = PROBES["generalization"](view).metrics
    assert {f"generalization/accuracy_{split}" for split in view.world.task.splits} <= set(metrics)


def test_probe_names_for_specs_are_the_probes_there_are():
    from vapo_core.settings import PROBES as NAMES

    assert set(NAMES) == set(PROBES)
