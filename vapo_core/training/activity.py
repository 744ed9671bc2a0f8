"""Gradient norm of the positive-example loss relative to the policy loss: the only activity metric that needs backward passes."""

import torch
from torch import Tensor, nn

from vapo_core.functional.losses import clipped_surrogate, linear_weights
from vapo_core.models.ragged import micro_batches
from vapo_core.recipe import Recipe
from vapo_core.types import AdvantageBatch, Batch


def positive_grad_ratio(
    policy: nn.Module, batch: Batch, credited: AdvantageBatch, recipe: Recipe, most_tokens: float = float("inf")
) -> dict[str, float]:
    """Gradient norm of the positive-example loss over that of the policy loss, at ratio 1, on one mini-batch.

    Reads only: gradients are returned, never accumulated. Absent when the surrogate's gradient is zero. most_tokens, as in
    `ragged.micro_batches`.
    """
    like, mask = batch.logp_old, batch.mask
    weights = (
        linear_weights(recipe.token_level_loss, like, mask),
        linear_weights(recipe.positive_lm_loss, like, mask, batch.correct),
    )
    trained = [p for p in policy.parameters() if p.requires_grad]
    sums: list[list[Tensor]] = [[], []]
    for micro in micro_batches(batch, 1, most_tokens):
        part, advantages = batch.take(micro), credited.advantages[micro]
        logp, _ = policy(part)
        surrogate = clipped_surrogate((logp - part.logp_old).exp(), advantages, *recipe.clip_higher.bounds(advantages))
        losses = ((weights[0][micro] * surrogate).sum(), (weights[1][micro] * logp).sum())
        for place, loss in enumerate(losses):
            found = torch.autograd.grad(
                loss, trained, retain_graph=place == 0, allow_unused=True, materialize_grads=True
            )
            sums[place] = [x + y for x, y in zip(sums[place], found, strict=True)] if sums[place] else list(found)
    below, above = (float(torch.cat([g.flatten() for g in gradient]).norm()) for gradient in sums)
    return {"activity/positive_lm_grad_ratio": above / below} if below else {}
