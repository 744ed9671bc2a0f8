"""Which lambda_policy a batch gets: a slot between the rule of `length_adaptive_gae` and the advantages.

Slot: (rule: lengths [B] -> lambda [B], batch, values [B, T]) -> lambda_policy [B]. The identity asks the rule at each
response's own length. A length is known only when the response is over, so a lambda that follows it is biased even under
an exact critic (METHODS.md R11); and the horizon that serves best depends on the critic's error, which no length knows (R4).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vapo_core.settings import Settings
from vapo_core.slots.credit import by_step
from vapo_core.types import Batch

Rule = Callable[[Tensor], Tensor]
Slot = Callable[[Rule, Batch, Tensor], Tensor]

LAGS = 8
"""Steps over which the correlation of changes of value is summed."""


def own_length(rule: Rule, batch: Batch, values: Tensor) -> Tensor:
    """The rule at each response's length, as in VAPO."""
    return rule(batch.lengths)


def others_length(rule: Rule, batch: Batch, values: Tensor) -> Tensor:
    """The rule at the mean length of the other answers to the prompt, which one's own future does not move (R11).

    An answer alone with its prompt takes the mean over the batch's other responses; one alone in its batch its own.
    """
    return rule(mean_of_others(batch.lengths.float(), batch.group))


def mean_of_others(x: Tensor, group: Tensor) -> Tensor:
    """[B] mean of x [B] over the others of each one's group [B] int; over all others, then over itself, where it has none."""
    count = torch.bincount(group)[group]
    total = torch.zeros(int(group.max()) + 1).to(x).index_add(0, group, x)[group]
    overall = (x.sum() - x) / max(len(x) - 1, 1) if len(x) > 1 else x
    return torch.where(count > 1, (total - x) / (count - 1).clamp(min=1), overall)


def error_aware(rule: Rule, batch: Batch, values: Tensor) -> Tensor:
    """Horizon from the critic's error, estimated from this batch's own values; rule and alpha play no part.

    h = (4 sigma^2 tau^2 l n / v)^(1/3) steps (R4), sigma and tau from `error_model`, v the variance of rewards, n answers
    per prompt, l the response's steps of reasoning; lambda = 1 - 1/h per step, at least 0, its root per token. Nothing is
    told: values of an exact critic change in an uncorrelated way, and then lambda is 0.
    """
    at_steps, exists = by_step(values, batch.step, batch.mask)
    sigma, reach = error_model(at_steps, exists)
    spread = float(batch.rewards.float().var(correction=0))
    answers, steps = len(batch.mask) / len(batch.group.unique()), exists.sum(1).float()
    if not spread > 0:
        return torch.zeros(len(batch.mask), device=values.device)
    horizon = (4 * sigma**2 * reach**2 * steps * answers / spread) ** (1 / 3)
    return (1 - 1 / horizon.clamp(min=1.0)) ** (steps / batch.lengths)


def error_model(values: Tensor, exists: Tensor) -> tuple[float, float]:
    """(sigma in reward, tau in steps) of an error e_t with Cov(e_t, e_{t+k}) = sigma^2 rho^k, tau = 1 / (1 - rho).

    V_hat_{t+1} - V_hat_t = delta_t + e_{t+1} - e_t, and the true delta are uncorrelated, so at lag k from 1 on the changes
    have covariance c_k = -sigma^2 (1 - rho)^2 rho^(k-1): c_1 over their sum gives rho, the sum sigma. An error that shrinks
    V towards a constant leaves no trace here, nor does it turn the gradient.

    Args:
        values: [B, K] at step starts. exists: [B, K] bool, a row's steps first.

    Returns:
        (0, 1) where the sum over LAGS lags is not below 0.
    """
    inner = exists[:, 1:]
    change = (values[:, 1:] - values[:, :-1]).where(inner, 0.0)
    pairs = [int((inner[:, :-k] & inner[:, k:]).sum()) for k in range(1, min(LAGS, inner.shape[1] - 1) + 1)]
    found = [float((change[:, :-k] * change[:, k:]).sum()) / n for k, n in enumerate(pairs, 1) if n]
    total, rho = sum(found), 0.0
    if not total < 0:
        return 0.0, 1.0
    share = min(max(found[0] / total, 1 / len(found)), 1.0)  # (1 - rho) / (1 - rho^lags), 1/lags at rho = 1
    for _ in range(100):
        rho = 1 - share * (1 - rho ** len(found))
    rest = max(1 - rho, 1 / inner.shape[1])
    return (-total / (rest * (1 - rho ** len(found)))) ** 0.5, 1 / rest


def default(settings: Settings) -> Slot:
    """The rule at each response's own length, as in VAPO."""
    return own_length


VARIANTS: Mapping[str, Callable[[Settings], Slot]] = {
    "others_length": lambda settings: others_length,
    "error_aware": lambda settings: error_aware,
}
