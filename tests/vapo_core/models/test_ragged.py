"""Passes by group of lengths: which groups, and that nothing but padding is left out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.benchmarks.models import model_of
from experiments.benchmarks.per_response import random_batch
from vapo_core.models.critic import LanguageCritic
from vapo_core.models.policy import LanguagePolicy
from vapo_core.models.ragged import by_length, in_groups
from vapo_core.models.value_models import on_backbone


def test_groups_by_hand():
    """Two rows of 2 beside one of 10: a pass of their own saves 16 tokens of padding."""
    assert by_length([10, 2, 2], worth=15) == [[1, 2], [0]]
    assert by_length([10, 2, 2], worth=16) == [[1, 2, 0]]
    assert by_length([5, 5, 5], worth=0) == [[0, 1, 2]]
    assert by_length([9, 1, 5, 1], worth=1) == [[1, 3], [2], [0]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(0, 200))
def test_groups_hold_every_row_once_and_never_pad_more(lengths, worth):
    groups = by_length(lengths, worth)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    padded = sum(len(group) * max(lengths[row] for row in group) for group in groups)
    assert padded + worth * (len(groups) - 1) <= len(lengths) * max(lengths)


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_equal_to_one_pass_with_gradients(architecture):
    """Values, log-probabilities, entropies and gradients do not depend on how rows are grouped."""
    model, tokenizer = model_of("tiny", architecture)
    batch = random_batch(24, 40, len(tokenizer))
    policy, critic = LanguagePolicy(model, 0.7), LanguageCritic(on_backbone(model, 0.0))
    for module, read in ((policy, policy.read), (critic, critic.read)):
        found = []
        for worth in (10**9, 0):
            outputs = in_groups(batch, read, worth)
            weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(0))
            gradient = torch.autograd.grad(sum((weights * x).sum() for x in outputs), list(module.parameters()))
            found.append((outputs, gradient))
        (whole, gradient), (grouped, other) = found
        for x, y in zip(whole, grouped, strict=True):
            torch.testing.assert_close(x, y, atol=2e-5, rtol=1e-4)
            assert x.shape == batch.mask.shape
            assert (y[~batch.mask] == 0).all()
        for x, y in zip(gradient, other, strict=True):
            torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-3)


def test_a_masked_inner_token_does_not_shorten_its_row():
    """Where a row ends is its last valid token, not how many are valid."""
    model, tokenizer = model_of("tiny")
    batch = random_batch(24, 40, len(tokenizer))
    batch.mask[:, 0] = False
    policy = LanguagePolicy(model, 1.0)
    torch.testing.assert_close(in_groups(batch, policy.read, 0)[0], in_groups(batch, policy.read, 10**9)[0])
