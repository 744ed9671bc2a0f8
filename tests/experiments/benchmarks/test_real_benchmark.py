"""The benchmark of a real model's shape runs at small size wherever there is no GPU; its figures are left to a GPU."""

import numpy as np
import pytest
import torch

from experiments.benchmarks.real_model import NARROW, measure, train, update_operations


def test_small_steps_give_every_number_but_the_share_of_an_unknown_peak():
    rows = measure(quick=True)
    assert {row.variant for row in rows} >= {"sampling", "update of policy and critic", "RL step", "peak memory"}
    assert all(np.isfinite(row.value) and row.value > 0 for row in rows)
    if not torch.cuda.is_available():
        assert not any("peak" in row.unit for row in rows)


def test_operations_by_hand():
    """6 x (both networks' layers at 40 tokens, and the output layer at 24) for one answer of 24 after a prompt of 16."""
    _, world = train(NARROW._replace(steps=1), gradient_checkpointing=False)
    head = 64 * 512
    layers = sum(p.numel() for p in world.model.parameters()) - head
    assert update_operations(world, NARROW, 24) == pytest.approx(6 * (2 * layers * 40 + head * 24))
