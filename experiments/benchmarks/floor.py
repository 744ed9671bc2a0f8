"""The floor of a run: sampling, forward and backward of its own tokens through its own networks, and nothing else.

No losses, optimiser steps, verification, credit, metrics or exact values. Networks leave padding out and read a prompt once
for its answers, as in the run; both are part of what the floor is.
"""

from typing import Any

import torch
from torch import Tensor

from vapo_core.models.policy import positions
from vapo_core.rollout.decoding import decoding
from vapo_core.types import Batch, Rollout


@torch.no_grad()
def sample(world: Any, rollout: Rollout, answers: int) -> None:
    """Read a rollout's tokens one after the other and draw from what the policy says after each; `answers` per prompt."""
    draw = _draw_walk if "decision" in rollout.inputs else _draw_text
    draw(world, rollout, answers)


def forward(critic: Any, batch: Batch) -> None:
    """The critic's pass over a batch, without gradients."""
    with torch.no_grad():
        critic(batch)


def forward_backward(networks: list[Any], batch: Batch, mini_batches: int, epochs: int) -> None:
    """Gradients of the sum of a network's outputs, in the run's mini-batches; they are thrown away."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(batch.mask), generator=generator).tensor_split(mini_batches):
            part = batch.take(rows)
            for network in networks:
                found = network(part)
                (found if isinstance(found, Tensor) else found[0]).sum().backward()
                network.zero_grad(set_to_none=True)


def _draw_walk(world: Any, rollout: Rollout, answers: int) -> None:
    """One pass over the walks that go on per decision."""
    state, decision = rollout.inputs["state"], rollout.inputs["decision"]
    chosen = rollout.mask & (rollout.inputs["phase"] == 0)
    for column in chosen.any(0).nonzero().flatten().tolist():
        rows = chosen[:, column]
        torch.multinomial(world.policy.log_probs(state[rows, column], decision[rows, column]).exp(), 1)


def _draw_text(world: Any, rollout: Rollout, answers: int) -> None:
    """Prompts once, then a token of every answer that goes on at a time, by the leanest decoding there is."""
    ids, attention, lengths = rollout.inputs["ids"], rollout.inputs["attention"], rollout.mask.sum(1)
    tokens = rollout.mask.shape[1]
    begin, seen = ids.shape[1] - tokens, attention[:, : ids.shape[1] - tokens]
    once = seen[::answers]
    read = world.model(
        input_ids=ids[::answers, :begin], attention_mask=once, position_ids=positions(once), use_cache=True,
        logits_to_keep=1,
    )  # fmt: skip
    cache, logits = read.past_key_values, read.logits[:, -1].repeat_interleave(answers, 0)
    cache.batch_repeat_interleave(answers)
    batch, left = decoding(world.model, cache, seen, tokens), torch.arange(len(ids))
    for column in range(tokens):
        torch.multinomial(logits.softmax(-1), 1)
        going = (lengths[left] > column + 1).nonzero().squeeze(1)
        if not len(going):
            break
        if len(going) < len(left):
            left = left[going]
            batch.keep(going)
        logits = batch.read(ids[left, begin + column])
