"""Does one update raise J by what its objective promises, and where does the difference come from? (h6a)

Delta J - predicted = (surrogate - predicted) + shift. The surrogate is the sum of (rho_t - 1) A_t with true advantages;
its gap to the recipe's own objective holds critic bias, lambda, reduction, clip and extra losses. The shift is what the
surrogate misses because the new policy visits other states; theory bounds it (arXiv:1502.05477, R8).
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.functional.advantages import gae
from vapo_core.functional.losses import clipped_surrogate, linear_weights, token_mean
from vapo_core.probes.base import Measurement, View
from vapo_core.probes.fresh import Fresh, Whitening, fresh_batch, whitening
from vapo_core.probes.policy_shift import paired_terms, updated_policy
from vapo_core.slots.credit import terminal_rewards
from vapo_core.types import Batch

RESPONSES = 1024
"""Fresh responses of the old policy that everything sampled is read on."""

METRICS: dict[str, tuple[str, str]] = {
    "improvement/predicted": (
        "reward",
        "gain of one update according to the recipe's own objective, on fresh responses, per response",
    ),
    "improvement/predicted_se": ("reward", "standard error of that"),
    "improvement/delta_j": (
        "reward",
        "true change of J by the update (exact), or its paired importance-weighted estimate",
    ),
    "improvement/delta_j_se": ("reward", "standard error of that estimate; absent where it is exact"),
    "improvement/surrogate": (
        "reward",
        "sum over a response of (ratio - 1) times the true advantage, where it is known",
    ),
    "improvement/surrogate_se": ("reward", "standard error of that"),
    "improvement/objective_gap": (
        "reward",
        "surrogate - predicted: critic bias, lambda, reduction, clip and extra losses",
    ),
    "improvement/shift": ("reward", "delta_j - surrogate: the new policy visits other states"),
    "improvement/tv": ("share", "total variation between new and old policy, mean over tokens"),
    "improvement/bound_clip": ("reward", "upper bound on |shift| if every ratio stays within the clip (R8)"),
    "improvement/bound_seen": ("reward", "upper bound on |shift| for ratios in the observed range (R8)"),
}


def measure(view: View) -> Measurement:
    """One update on copies, what it promised and what it did; every step's update is a draw of its own.

    So updates along a run are independent, and the share of them that lower J can be counted.
    """
    return compare(view, updated_policy(view, "improvement", view.step), "improvement")


def compare(view: View, after: nn.Module, stream: str) -> Measurement:
    """What the run's recipe predicts of the step from its policy to `after`, and the truth, over the training problems.

    Args:
        stream: whose random numbers draw the fresh responses.

    Raises:
        CannotRun: if all advantages of a fresh batch are equal, so that nothing is predicted.
    """
    unselected = replace(view.recipe, select_groups=lambda rewards: torch.ones(len(rewards), dtype=torch.bool))
    other, fresh = (fresh_batch(view, unselected, RESPONSES, f"{stream}/fresh", number) for number in range(2))
    batch = fresh.batch
    with torch.no_grad():
        step = Step(*view.world.policy(batch), *after(batch))
    predicted = predicted_gain(view, fresh, whitening(view.recipe, other), step)
    distance = (step.ratio - 1).abs()[batch.mask]
    metrics = {"tv": 0.5 * float(distance.mean()), **_mean("predicted", predicted, batch)}
    arrays = {"length": _numpy(batch.lengths), "reward": _numpy(fresh.rewards), "predicted": _numpy(predicted)}
    exact = view.world.exact_change(after, fresh.problems)
    if exact is None:
        metrics |= _mean("delta_j", paired_terms((step.logp - step.logp_old).sum(1).cpu(), fresh.rewards), batch)
    else:
        metrics["delta_j"] = exact
    true = true_advantages(view, fresh)
    if true is not None:
        surrogate = ((step.ratio - 1) * true).sum(1)
        arrays["surrogate"] = _numpy(surrogate)
        metrics |= _mean("surrogate", surrogate, batch)
        metrics["objective_gap"] = metrics["surrogate"] - metrics["predicted"]
        metrics["shift"] = metrics["delta_j"] - metrics["surrogate"]
        longest, most = int(batch.lengths.max()), float(true.abs().max())
        seen = (1 - float(step.ratio.min()), float(step.ratio.max()) - 1)
        metrics["bound_seen"] = shift_bound(*seen, longest, most)
        metrics["bound_clip"] = shift_bound(view.recipe.clip_higher.low, view.recipe.clip_higher.high, longest, most)
    return Measurement({f"improvement/{name}": x for name, x in metrics.items()}, arrays)


class Step(NamedTuple):
    """Old and new policy on one batch; all [B, T], nats, 0 where masked."""

    logp_old: Tensor
    entropy_old: Tensor
    logp: Tensor
    entropy: Tensor

    @property
    def ratio(self) -> Tensor:
        """[B, T] new over old probability; 1 where masked."""
        return (self.logp - self.logp_old).exp()


def predicted_gain(view: View, fresh: Fresh, white: Whitening, step: Step) -> Tensor:
    """[B] what each response adds to the fall of the recipe's loss, in reward per response; their mean is the prediction.

    Whitening's scale is undone and token weights are scaled to 1 on average, so that a recipe that estimates the policy
    gradient predicts Delta J itself. Clip, positive-example loss and entropy bonus are in it; a KL penalty is not.
    Under group-relative credit the unit is that of its advantages.
    """
    recipe, mask, advantages = view.recipe, fresh.batch.mask, white(fresh)
    low, high = recipe.clip_higher.bounds(advantages)
    weights = linear_weights(recipe.token_level_loss, advantages, mask)
    imitation = linear_weights(recipe.positive_lm_loss, advantages, mask, fresh.batch.correct)
    bonus = linear_weights(token_mean, advantages, mask) * view.settings.entropy_coef
    fall = -weights * (clipped_surrogate(step.ratio, advantages, low, high) + advantages)
    fall = fall - imitation * (step.logp - step.logp_old) + bonus * (step.entropy - step.entropy_old)
    unit = white.scale * (view.settings.reward_high - view.settings.reward_low)
    return fall.sum(1) * mask.sum() / (weights.sum() * unit)


def true_advantages(view: View, fresh: Fresh) -> Tensor | None:
    """[B, T] change of true V over each token, reward minus V on the last; None where V is not known exactly.

    Its mean given state and token is the advantage, and the advantage itself where nothing but the policy is random.
    """
    row, time = fresh.batch.mask.cpu().nonzero(as_tuple=True)
    exact = view.world.exact_at(fresh.batch, row.numpy(), time.numpy())
    if exact is None:
        return None
    values = torch.zeros_like(fresh.advantages)
    values[row, time] = torch.as_tensor(exact).to(values)
    return gae(terminal_rewards(replace(fresh.batch, rewards=fresh.rewards)), values, fresh.batch.mask, 0.0)


def shift_bound(low: float, high: float, longest: int, most: float) -> float:
    """R8: 2 l (l - 1) TV^2 max|A| with TV = low high / (low + high), the most that ratios in [1 - low, 1 + high] allow.

    Args:
        low, high: >= 0.
        longest: l, tokens of the longest response.
        most: max |A|, reward.
    """
    tv = low * high / (low + high) if low + high > 0 else 0.0
    return 2 * longest * (longest - 1) * tv**2 * most


def _mean(name: str, terms: Tensor, batch: Batch) -> dict[str, float]:
    """Mean over responses, with its standard error over prompts."""
    answers = int((batch.group == 0).sum())
    prompts = terms.view(-1, answers).mean(1)
    return {name: float(terms.mean()), f"{name}_se": float(prompts.std() / math.sqrt(len(prompts)))}


def _numpy(x: Tensor) -> np.ndarray:
    return x.double().numpy(force=True)
