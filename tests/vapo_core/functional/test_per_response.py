"""Gradients by response from one pass equal a loop of backward passes, in every network we know and in those we do not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from experiments.benchmarks.per_response import random_batch
from tests.support.worlds import view_of
from vapo_core.functional import per_response as file
from vapo_core.functional.per_response import layer_gradients, loop_gradients, per_response_gradients
from vapo_core.models.base_model import build_model, character_tokenizer
from vapo_core.models.policy import LanguagePolicy
from vapo_core.training.collect import pad_to
from vapo_core.types import Batch


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-5 of each response's norm."""
    assert found.shape == expected.shape
    assert ((found - expected).norm(dim=1) <= 1e-5 * expected.norm(dim=1)).all()


def language_policy(architecture: str, tied: bool = False, temperature: float = 1.0) -> LanguagePolicy:
    model = build_model("tiny", architecture, character_tokenizer("abcdefgh"), init=3).eval()
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.mul_(torch.linspace(0.5, 2.0, len(p)))  # as if trained: a norm whose weight is 1 hides mistakes
    return LanguagePolicy(model, temperature)


@pytest.fixture
def no_loop(monkeypatch):
    """Refuse the way out, so that equality is not with itself."""
    expected = loop_gradients

    def refuse(*arguments):
        raise AssertionError("took the loop")

    monkeypatch.setattr(file, "loop_gradients", refuse)
    return expected


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_language_models_equal_the_loop(architecture, tied, no_loop):
    """A policy may also write the padding token, whose embedding torch does not train."""
    policy = language_policy(architecture, tied, temperature=0.7)
    batch = random_batch(10, 18, 11)
    batch.inputs["ids"][:, 13] = policy.model.config.pad_token_id
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(2))
    close(per_response_gradients(policy, batch, weights), no_loop(policy, batch, weights))


@pytest.mark.parametrize("filler", [0, 2])
def test_walk_networks_equal_the_loop(filler, cache, no_loop):
    """Tokens are layer inputs there, only decisions reach the network, and the layers have biases and bags."""
    view = view_of("walk", cache, dials={"size": 8, "horizon": 12, "filler": filler})
    batch = Batch.ungraded(view.world.engine.generate(view.pool[:8], 4, 1))
    assert batch.lengths.min() < batch.lengths.max()
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(2))
    close(per_response_gradients(view.world.policy, batch, weights), no_loop(view.world.policy, batch, weights))


def test_padding_and_order_of_responses_change_nothing():
    policy, batch = language_policy("qwen3"), random_batch(6, 12, 11)
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(2))
    expected = per_response_gradients(policy, batch, weights)
    wider = nn.functional.pad(weights, (0, 5), value=7.0)  # weights on masked tokens are not read
    close(per_response_gradients(policy, pad_to(batch, 17, 20), wider), expected)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    close(per_response_gradients(policy, batch.take(order), weights[order]), expected[order])


def test_frozen_weights_are_left_out(no_loop):
    policy, batch = language_policy("llama"), random_batch(4, 8, 11)
    policy.model.model.embed_tokens.requires_grad_(False)
    policy.model.model.layers[0].self_attn.q_proj.requires_grad_(False)
    weights = torch.ones(batch.mask.shape)
    close(per_response_gradients(policy, batch, weights), no_loop(policy, batch, weights))


def test_unknown_layers_and_layers_that_mix_responses_take_the_loop():
    class Unknown(nn.Module):
        """log pi = log sigmoid of a table entry, by hand: weights without a layer."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(11, generator=torch.Generator().manual_seed(0)))

        def forward(self, batch):
            ids = batch.inputs["ids"][:, -batch.mask.shape[1] :]
            return nn.functional.logsigmoid(self.table[ids]), torch.zeros(batch.mask.shape)

    class Shared(nn.Module):
        """The same table as an embedding read once for all responses."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(11, 1)
            nn.init.normal_(self.table.weight, generator=torch.Generator().manual_seed(0))

        def forward(self, batch):
            ids = batch.inputs["ids"][:, -batch.mask.shape[1] :]
            return nn.functional.logsigmoid(self.table(torch.arange(11))[ids, 0]), torch.zeros(batch.mask.shape)

    batch = random_batch(4, 8, 11)
    for policy in (Unknown(), Shared()):
        weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(2))
        assert layer_gradients(policy, batch, weights) is None
        close(per_response_gradients(policy, batch, weights), loop_gradients(policy, batch, weights))


def test_hand_numbers():
    """Two tokens, one linear logit z = w x: d log sigmoid(z) = (1 - sigmoid(z)) x, so at w = 0 half of x."""

    class OneWeight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)
            nn.init.zeros_(self.layer.weight)
            nn.init.zeros_(self.layer.bias)

        def forward(self, batch):
            return nn.functional.logsigmoid(self.layer(batch.inputs["x"][:, :, None])[:, :, 0]), batch.logp_old

    zeros = torch.zeros(2, 2)
    mask = torch.tensor([[True, True], [True, False]])
    batch = Batch(
        {"x": torch.tensor([[1.0, 3.0], [5.0, 9.0]])}, mask, zeros, zeros, zeros[0], zeros[0].bool(),
        torch.arange(2), torch.zeros(2, 2, dtype=torch.long),
    )  # fmt: skip
    found = per_response_gradients(OneWeight(), batch, torch.tensor([[1.0, 2.0], [-1.0, 100.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.5 * 1 + 2 * 0.5 * 3, 1.5], [-2.5, -0.5]]))


def test_nothing_is_left_behind(cache):
    """No hook, no gradient, no random number."""
    policy, batch = language_policy("llama"), random_batch(4, 8, 11)
    state = torch.get_rng_state()
    per_response_gradients(policy, replace(batch), torch.ones(batch.mask.shape))
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in policy.parameters())
    assert not any(m._forward_hooks for m in policy.modules())
