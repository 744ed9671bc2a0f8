"""A prompt is read once for all of its answers, and nothing that comes out depends on it."""

from dataclasses import replace

import pytest
import torch

from experiments.benchmarks.models import model_of
from experiments.benchmarks.per_response import random_batch
from vapo_core.functional.per_response import layer_gradients, loop_gradients, per_response_gradients
from vapo_core.models.critic import LanguageCritic
from vapo_core.models.policy import LanguagePolicy, Passes
from vapo_core.models.prefixes import shared_prompts
from vapo_core.models.value_models import on_backbone

ALWAYS, NEVER = Passes(worth=0), Passes(worth=10**9)


def batch_of(vocabulary, answers=4, responses=24, tokens=9):
    """Prompts of 6 to 12 tokens with some answers each, of unequal lengths, in no order."""
    batch = random_batch(responses, tokens, vocabulary)
    width = batch.inputs["ids"].shape[1] - tokens
    ids, attention = batch.inputs["ids"].clone(), batch.inputs["attention"].clone()
    first = torch.arange(responses) // answers * answers
    ids[:, :width], attention[:, :width] = ids[first, :width], attention[first, :width]
    shuffled = torch.randperm(responses, generator=torch.Generator().manual_seed(3))
    batch = replace(batch, inputs={"ids": ids, "attention": attention}, group=first // answers)
    return batch.take(shuffled)


def results(module, batch):
    """Outputs, and gradients of a weighted sum of them."""
    found = module(batch)
    outputs = list(found) if isinstance(found, tuple) else [found]
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0))
    loss = sum((weights * x).sum() for x in outputs)
    return outputs, torch.autograd.grad(loss, [p for p in module.parameters() if p.requires_grad])


def networks(architecture):
    model, tokenizer = model_of("tiny", architecture)
    return LanguagePolicy(model, 0.7), LanguageCritic(on_backbone(model, 0.0)), len(tokenizer)


@pytest.mark.parametrize("tokens", [1, 2, 9])
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_outputs_and_gradients_are_those_of_reading_every_prompt(architecture, tokens):
    *modules, vocabulary = networks(architecture)
    batch = batch_of(vocabulary, tokens=tokens)
    batch.mask[:, 0] = True
    for module in modules:
        module.passes = NEVER
        expected = results(module, batch)
        module.passes = ALWAYS
        outputs, gradients = results(module, batch)
        for x, y in zip(expected[0], outputs, strict=True):
            torch.testing.assert_close(x, y, atol=2e-5, rtol=1e-4)
        for x, y in zip(expected[1], gradients, strict=True):
            torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-3)


def test_each_prompt_is_read_once():
    """Tokens that go through the embedding: 6 prompts of 12 places instead of 24, and 8 of every 9 response tokens."""
    policy, _, vocabulary = networks("llama")
    batch, read = batch_of(vocabulary), []
    policy.model.model.embed_tokens.register_forward_hook(lambda m, ids, out: read.append(ids[0].numel()))
    policy.passes = NEVER
    policy(batch)
    policy.passes = Passes(
        worth=24 * 9
    )  # one group of lengths, and 18 x 12 saved prompt tokens are exactly not worth it
    policy(batch)
    policy.passes = Passes(worth=18 * 12 - 1)
    policy(batch)
    widest = int(batch.inputs["attention"][:, :12].sum(1).max())
    assert widest == 12
    assert read == [24 * 21, 24 * 21, 6 * 12, 24 * 8]


def test_only_rows_of_one_group_and_one_prompt_share():
    ids = torch.tensor([[3, 4, 5], [3, 4, 6], [3, 4, 5], [7, 4, 5]])
    model, ones = model_of("tiny")[0], torch.ones(4, 3, dtype=torch.long)
    found = shared_prompts(model, ids, ones, 1, torch.tensor([0, 0, 1, 0]), 0)
    assert found is not None
    assert found.which[0] == found.which[1]
    assert len({int(found.which[i]) for i in (0, 2, 3)}) == 3
    assert (ids[found.row[found.which], :2] == ids[:, :2]).all()
    padded = torch.tensor([[0, 1, 1], [1, 1, 1], [0, 1, 1], [0, 1, 1]])  # padding is not what tells prompts apart
    found = shared_prompts(model, ids, padded, 1, torch.zeros(4, dtype=torch.long), 0)
    assert found is not None
    assert found.which.tolist().count(int(found.which[0])) == 3


def test_a_pass_that_has_to_be_one_pass_stays_one():
    """Ranks that keep weights in pieces need as many passes on each; recomputed activations go with no cache."""
    model, ids = model_of("tiny")[0], torch.full((4, 3), 5)
    ones, group = torch.ones_like(ids), torch.zeros(4, dtype=torch.long)
    assert shared_prompts(model, ids, ones, 1, group, 0) is not None
    assert shared_prompts(model, ids, ones, 1, group, ALWAYS.at_once().worth) is None
    model.gradient_checkpointing_enable()
    assert shared_prompts(model, ids, ones, 1, group, 0) is None


def test_a_response_s_own_gradient_reads_its_own_prompt():
    """Else a prompt's gradient would be that of all its answers."""
    policy, _, vocabulary = networks("llama")
    policy.passes = ALWAYS
    batch = batch_of(vocabulary, responses=16)
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(1))
    assert layer_gradients(policy, batch, weights) is not None
    found = per_response_gradients(policy, batch, weights)
    torch.testing.assert_close(found, loop_gradients(policy, batch, weights), atol=1e-4, rtol=1e-3)
