"""Every language task trains under every recipe of an ablation; bases are hardly pretrained here, so nothing is learned."""

import pytest

from experiments.specs.spec import TaskSpec, spec_for
from tests.support.worlds import SMALL_EVALUATION, run, small_settings, trainer_of
from vapo_core.models import base_model


@pytest.mark.parametrize("recipe", ["vapo", "ppo", "grpo", "dapo"])
@pytest.mark.parametrize("task", ["chain", "addition", "trap", "routes"])
def test_a_task_trains(task, recipe, cache, monkeypatch):
    """Two steps from value pretraining to evaluation; text_walk is trained in many other tests."""
    monkeypatch.setitem(base_model.PRETRAINING, "tiny", {"steps": 3, "batch": 8, "lr": 3e-3})
    spec = spec_for(recipe, "lm", 0, TaskSpec(name=task), small_settings("lm"), steps=2, evaluation=SMALL_EVALUATION)
    points = run(trainer_of(spec, cache))
    assert [step for step, metrics in points if "val/pass_at_1" in metrics] == [0, 2]
    assert all(0 <= metrics["val/pass_at_1"] <= 1 for _, metrics in points if "val/pass_at_1" in metrics)
    assert points[-1][1]["response_length/mean"] >= 1
