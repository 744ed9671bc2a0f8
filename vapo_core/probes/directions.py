"""Expected gradients of one policy from blocks of disjoint responses: under either reduction, and grad J itself.

Blocks have prompts and samples of their own, so products of different blocks are free of noise (METHODS.md section 3). A block
takes one backward pass, so there may be more responses than gradients per response would allow. K, M blocks; D parameters.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor, nn

from vapo_core.functional.losses import linear_weights, sequence_mean, token_mean
from vapo_core.probes.base import View
from vapo_core.probes.expected_gradients import product
from vapo_core.probes.fresh import Fresh, fresh_batch, recredit, whitening
from vapo_core.recipe import Recipe
from vapo_core.types import Batch

REDUCTIONS = {"token": token_mean, "sequence": sequence_mean}

BLOCKS = 8
"""Blocks of each kind."""

FEWEST, MOST, QUICK = 256, 1024, 2**22
"""Responses in a block: `QUICK` over the number of weights, within these bounds."""


class Blocks(NamedTuple):
    """Gradients of J's surrogate in the direction of ascent, [K, D] each, both reductions on the same responses."""

    token: Tensor
    sequence: Tensor


def reduced(reduction: str, advantages: Tensor, mask: Tensor) -> Tensor:
    """[B, T] advantage times weight in the reduction."""
    return advantages * linear_weights(REDUCTIONS[reduction], advantages, mask)


def summed_gradient(policy: nn.Module, batch: Batch, weights: Tensor) -> Tensor:
    """[D] gradient of sum_t w_t log pi_t over a whole batch. Reads only. weights: [B, T], unread where masked."""
    parameters = [p for p in policy.parameters() if p.requires_grad]
    logp, _ = policy(batch)
    found = torch.autograd.grad((weights * logp).where(batch.mask, 0.0).sum(), parameters, materialize_grads=True)
    return torch.cat([g.flatten() for g in found])


def block_size(policy: nn.Module) -> int:
    """Responses in a block."""
    return max(FEWEST, min(MOST, QUICK // sum(p.numel() for p in policy.parameters() if p.requires_grad)))


def expected(view: View, recipes: Mapping[str, Recipe], stream: str) -> dict[str, Blocks]:
    """What each recipe's credit makes of the same K blocks, at ratio 1, without extra losses; by the recipes' names.

    Whitening's constants are another block's.

    Args:
        view: the run.
        recipes: the run's, or copies that differ in credit alone.
        stream: whose random numbers are drawn; equal streams are equal responses.
    """
    policy, responses = view.world.policy, block_size(view.world.policy)
    other = fresh_batch(view, view.recipe, responses, stream)
    white = {name: whitening(recipe, recredit(view, other, recipe)) for name, recipe in recipes.items()}
    rows: dict[str, dict[str, list[Tensor]]] = {name: {r: [] for r in REDUCTIONS} for name in recipes}
    for number in range(BLOCKS):
        fresh = fresh_batch(view, view.recipe, responses, stream, number + 1)
        for name, recipe in recipes.items():
            advantages = white[name](recredit(view, fresh, recipe))
            for reduction, found in rows[name].items():
                weights = reduced(reduction, advantages, fresh.batch.mask)
                found.append(summed_gradient(policy, fresh.batch, weights))
    return {name: Blocks(**{r: torch.stack(found) for r, found in both.items()}) for name, both in rows.items()}


def true_gradient(view: View, stream: str) -> Tensor:
    """[M, D] grad J over the training problems: M = 1 where it is exact, else K unbiased estimates from disjoint responses.

    An estimate is (1/B) sum_i (R_i - b_i) sum_t psi_t with R the whole response's verifier reward and b_i the mean reward of
    the other answers to its prompt (of the block where a prompt has one answer): lambda = 1, no critic.
    """
    exact = view.world.exact_gradient(view.pool)
    if exact is not None:
        return exact[None]
    rows = []
    for number in range(BLOCKS):
        fresh = fresh_batch(view, view.recipe, block_size(view.world.policy), stream, number + 1)
        advantages = leave_one_out(fresh).to(fresh.batch.logp_old)[:, None].expand(fresh.batch.mask.shape)
        rows.append(summed_gradient(view.world.policy, fresh.batch, advantages / len(advantages)))
    return torch.stack(rows)


def leave_one_out(fresh: Fresh) -> Tensor:
    """[B] verifier reward less the mean of the others': answers to the same prompt, or the whole batch if it has one each."""
    rewards, group = fresh.rewards.double(), fresh.batch.group.cpu()
    if int(torch.bincount(group).max()) == 1:
        group = torch.zeros_like(group)
    size = torch.bincount(group).double()[group]
    total = torch.zeros(int(group.max()) + 1, dtype=torch.float64).index_add(0, group, rewards)[group]
    return (rewards - (total - rewards) / (size - 1)).float()


def products(a: Tensor, b: Tensor) -> np.ndarray:
    """[K, M] inner products of blocks."""
    return (a @ b.mT).double().numpy(force=True)


def square(a: Tensor) -> float:
    """|E a|^2 without noise, from K >= 2 blocks; |a|^2 where there is one, which is exact."""
    inner = products(a, a)
    return product(inner) if len(inner) > 1 else float(inner[0, 0])


def squared_product(inner: np.ndarray) -> float:
    """(E a . E b)^2 without noise, from [K, M] products: the mean over pairs that share no block. M = 1: b is exact."""
    rows, columns = inner.shape
    if columns == 1:
        return float((inner.sum() ** 2 - (inner**2).sum()) / (rows * (rows - 1)))
    pairs = inner.sum() ** 2 - (inner.sum(0) ** 2).sum() - (inner.sum(1) ** 2).sum() + (inner**2).sum()
    return float(pairs / (rows * (rows - 1) * columns * (columns - 1)))


def surely_positive(inner: np.ndarray) -> bool:
    """Is E a . E b surely above 0? Two-sided 5 %, jackknife over rows and, where there are several, over columns at once."""
    size = len(inner)
    kept = [
        np.delete(inner, i, 0) if inner.shape[1] == 1 else np.delete(np.delete(inner, i, 0), i, 1) for i in range(size)
    ]
    left_out = np.array([x.mean() for x in kept])
    error = np.sqrt((size - 1) * left_out.var())
    return bool(inner.mean() > stdtrit(size - 1, 0.975) * error)
