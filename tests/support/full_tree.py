"""Exact V and gradient of a real transformer over its full tree of responses: small vocabulary, small horizon.

k tokens continue, one stops; a response has at most T tokens. Prefixes of t continuing tokens are numbered in base k, the
first token the most significant digit, so prefix p has the children k p .. k p + k - 1.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Reward = Callable[[tuple[int, ...], bool], float]


class Tree(NamedTuple):
    """What is known at every prefix."""

    values: list[Tensor]
    """T tensors, [k^t]: true V before token t, of every prefix of t continuing tokens; keep the graph."""
    reach: list[Tensor]
    """T tensors, [k^t]: probability of having written that prefix."""

    @property
    def expected_return(self) -> Tensor:
        """J of the prompt, a scalar that keeps the graph: its gradient is exact."""
        return self.values[0][0]


def full_tree(
    model: Any,
    prompt: Sequence[int],
    continuing: Sequence[int],
    stop: int,
    horizon: int,
    reward: Reward,
    temperature: float = 1.0,
) -> Tree:
    """Evaluate every prefix once and induct backward.

    Args:
        model: causal language model; logits over other tokens are left out, as if they could not be sampled.
        prompt: token ids.
        continuing: the k tokens that go on; stop: the one that ends.
        horizon: T, most tokens, stop token included; k^(T - 1) sequences are evaluated.
        reward: (continuing tokens written, whether it stopped) -> reward in [0, 1].
        temperature: softmax temperature.

    Returns:
        Values and reach of every prefix.
    """
    tokens = [*continuing, stop]
    prefixes = _prefixes(len(continuing), horizon - 1)
    written = torch.tensor(continuing)[prefixes]
    ids = torch.cat([torch.tensor(prompt).expand(len(written), -1), written], dim=1)
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, len(prompt) - 1 :, tokens]
    logp = torch.log_softmax(logits / temperature, dim=-1)
    k = len(continuing)
    rows = [logp[:: k ** (horizon - 1 - t), t].exp() for t in range(horizon)]  # one row per distinct prefix
    values: list[Tensor] = []
    for t in reversed(range(horizon)):
        names = [tuple(continuing[d] for d in p) for p in _prefixes(k, t).tolist()]
        stopped = rows[t].new_tensor([reward(name, True) for name in names])
        if t == horizon - 1:
            cut = rows[t].new_tensor([[reward((*name, c), False) for c in continuing] for name in names])
            onward = (rows[t][:, :k] * cut).sum(1)
        else:
            onward = (rows[t][:, :k] * values[-1].view(-1, k)).sum(1)
        values.append(rows[t][:, k] * stopped + onward)
    reach = [rows[0].new_ones(1)]
    for t in range(horizon - 1):
        reach.append((reach[-1][:, None] * rows[t][:, :k]).reshape(-1))
    return Tree(values[::-1], reach)


def _prefixes(k: int, length: int) -> Tensor:
    """[k^length, length] digits of every prefix, in order."""
    if length == 0:
        return torch.zeros((1, 0), dtype=torch.long)
    return torch.cartesian_prod(*[torch.arange(k)] * length).view(-1, length)
