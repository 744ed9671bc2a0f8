"""How far one update goes, and what it gains."""

import pytest
import torch

from tests.worlds import small_spec, trainer_of
from vapo_core.probes import PROBES
from vapo_core.probes.policy_shift import paired_change


def test_policy_shift_of_a_frozen_policy_is_zero(cache):
    trainer = trainer_of(small_spec("walk", numbers={"policy_lr": 0.0}), cache)
    metrics = PROBES["policy_shift"](trainer._view(0)).metrics
    assert metrics["policy_shift/kl_response"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy_shift/delta_j"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy_shift/outside"] == 0
    assert metrics["policy_shift/ratio_p01"] == metrics["policy_shift/ratio_p99"] == pytest.approx(1)
    assert "policy_shift/kl_per_square" not in metrics


def test_policy_shift_grows_with_the_rate_and_improves_j(cache):
    """KL grows about with the square of the step; a small step along a good gradient raises J."""
    found = []
    for rate in (1e-4, 1e-3):
        trainer = trainer_of(small_spec("walk", numbers={"policy_lr": rate, "responses_per_step": 512}), cache)
        found.append(PROBES["policy_shift"](trainer._view(0)).metrics)
    assert found[1]["policy_shift/kl_response"] > 20 * found[0]["policy_shift/kl_response"]
    assert found[1]["policy_shift/delta_j"] > found[0]["policy_shift/delta_j"] > 0
    for metrics in found:
        expected = metrics["policy_shift/kl_response"] / metrics["policy_shift/delta_j"] ** 2
        assert metrics["policy_shift/kl_per_square"] == pytest.approx(expected)


def test_paired_change_is_unbiased_and_sharper_than_two_evaluations():
    """Two Bernoulli-coin policies with known J: the paired estimate is right and its error a tenth of the unpaired."""
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
