"""What needs a GPU: the same numbers there, and twenty steps on a public model's shape. Skipped where there is none."""

import copy

import numpy as np
import pytest
import torch

from experiments.benchmarks.real_model import NARROW, QWEN_HALF, measure, train
from tests.support.checkpoints import causal
from tests.vapo_core.models.test_checkpoints import PROBLEMS, world_of
from vapo_core.types import Batch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU at hand")


@pytest.mark.parametrize("architecture", ["qwen2", "gemma2", "gpt2"])
def test_sampling_and_reading_agree_there(architecture, tmp_path):
    world = world_of(causal(tmp_path / "base", architecture), tmp_path)
    rollout = world.engine.generate(PROBLEMS, 3, seed=1)
    logp, _ = world.policy(Batch.ungraded(rollout))
    assert logp.device.type == "cuda"
    torch.testing.assert_close(logp, rollout.logp, atol=1e-3, rtol=0)
    elsewhere = copy.deepcopy(world.policy).cpu()
    moved = Batch.ungraded(rollout)
    inputs = {name: x.cpu() for name, x in moved.inputs.items()}
    here = type(moved)(inputs, *(getattr(moved, name).cpu() for name in list(moved.__dataclass_fields__)[1:]))
    torch.testing.assert_close(elsewhere(here)[0], logp.cpu(), atol=1e-3, rtol=0)


def test_a_narrow_model_trains_there():
    points, world = train(NARROW, gradient_checkpointing=True)
    assert all(np.isfinite(x) for metrics in points for x in metrics.values())
    assert next(world.model.parameters()).is_cuda


@pytest.mark.slow
def test_twenty_steps_on_the_shape_of_a_public_model(capsys):
    """Tokens per second, memory and share of peak are printed (pytest -s), not judged."""
    rows = measure(quick=False)
    with capsys.disabled():
        for row in rows:
            print(f"\n{row.case}, {row.variant}: {row.value:.4g} [{row.low:.4g}, {row.high:.4g}] {row.unit}", end="")
    assert {row.unit for row in rows} >= {"answer tokens/s", "GB"}
    assert all(np.isfinite(row.value) for row in rows)
    assert QWEN_HALF.name in rows[0].case
