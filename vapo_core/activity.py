"""The one activity that costs backward passes: how loud the positive-example loss is beside the surrogate."""

import torch
from torch import Tensor, nn

from vapo_core.losses import clipped_surrogate
from vapo_core.recipe import Recipe
from vapo_core.types import Batch, Credited


def positive_grad_ratio(policy: nn.Module, batch: Batch, credited: Credited, recipe: Recipe) -> dict[str, float]:
    """Gradient norm of the positive-example loss over that of the policy loss, at ratio 1, on one mini-batch.

    Reads only: gradients are returned, never accumulated. Absent when the surrogate's gradient is zero.
    """
    logp, _ = policy(batch)
    ratio = (logp - batch.logp_old).exp()
    low, high = recipe.clip_higher.bounds(credited.advantages)
    surrogate = recipe.token_level_loss(clipped_surrogate(ratio, credited.advantages, low, high), batch.mask)
    imitation = recipe.positive_lm_loss(logp, batch.mask, batch.correct)
    below = _grad_norm(surrogate, policy, keep=True)
    if below == 0 or not imitation.requires_grad:
        return {"activity/positive_lm_grad_ratio": 0.0} if below else {}
    return {"activity/positive_lm_grad_ratio": _grad_norm(imitation, policy, keep=False) / below}


def _grad_norm(loss: Tensor, module: nn.Module, keep: bool) -> float:
    parameters = [p for p in module.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True)
    return float(torch.sqrt(sum((g.square().sum() for g in gradients if g is not None), torch.zeros(()))))
