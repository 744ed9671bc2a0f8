"""Nothing is left behind on the CPU when a model is elsewhere, shown without a GPU by a device that only pretends."""

import pytest
import torch

from tests.support.checkpoints import causal
from tests.support.pretended_device import PLACE, Far, Mixed, pretended
from tests.vapo_core.training.test_real_training import ran, trainer_of


def test_two_places_do_not_mix(monkeypatch):
    """What a GPU refuses, the pretended one refuses: sums of tensors from both places, and indexing the CPU from there."""
    with pretended(monkeypatch):
        there, here = torch.ones(3, device=PLACE), torch.ones(3)
        with pytest.raises(Mixed):
            there + here
        with pytest.raises(Mixed):
            here[there.bool()]
        assert float((there * 2 + 1).sum()) == 9
        assert torch.equal((there + here.to(PLACE)).cpu(), torch.full((3,), 2.0))
        assert isinstance(there[torch.tensor([0, 2])], Far)  # a GPU takes indices from the CPU


@pytest.mark.parametrize(("recipe", "architecture"), [("vapo", "qwen3"), ("dapo", "gpt2")])
def test_a_recipe_trains_elsewhere(recipe, architecture, tmp_path, monkeypatch):
    """Sampling, grading, value pretraining, update and evaluation."""
    checkpoint = causal(tmp_path / "base", architecture)
    numbers = {"tokens_per_micro_batch": 200, "tokens_per_generation_batch": 400}
    with pretended(monkeypatch):
        trainer = trainer_of(checkpoint, tmp_path, recipe, steps=1, numbers=numbers)
        assert next(trainer.world.model.parameters()).device == PLACE
        points = ran(trainer)
    assert points[-1][1]["actor/grad_norm"] > 0
