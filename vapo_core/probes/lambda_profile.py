"""Which lambda would serve best here? Error of the advantages and quality of the gradient over a grid of lambda rules.

One fresh batch is credited under every rule, with the run's own critic and credit rule.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.components.length_adaptive_gae import on as adaptive
from vapo_core.oracles.true_advantage import true_advantages
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.training.collect import grade_all, reward_values, to_batch
from vapo_core.types import Batch, Problem, Rollout

LAMBDAS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
ALPHAS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

GROUPS, RESPONSES = 32, 32
"""Independent groups for the gradient's moments, and responses in each, or one prompt's answers if they are more."""

PLACES, CONTINUATIONS = 96, 12
"""Tokens whose true advantage is sampled where it is not known exactly, and K for each of its two values."""

STRATA = ("short", "middle", "long")
"""Thirds of the tokens by the length of their response."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"lambda_profile/{measure}_{rule}": (unit, f"{meaning}, {whose}")
        for measure, unit, meaning in (
            ("mse", "reward^2", "squared error of advantages to the true ones"),
            ("quality", "share", "gradient quality Q at the recipe's batch size, where grad J is known and found"),
        )
        for rule, whose in (
            ("own", "the recipe's own lambda"),
            ("constant", "best constant lambda, chosen on one half and measured on the other"),
            ("adaptive", "best alpha, chosen on one half and measured on the other"),
        )
    },
    **{
        f"lambda_profile/{name}_{stratum}": ("tokens", f"{meaning}, {stratum} third of tokens")
        for stratum in STRATA
        for name, meaning in (
            ("horizon", "sum_k<l lambda^k of the constant with the least advantage error"),
            ("length", "mean length of the response a token is in"),
        )
    },
    "lambda_profile/horizon_quality": ("tokens", "sum_k<l lambda^k of the constant with the best Q, l the mean length"),
    "lambda_profile/alpha_quality": ("alpha", "the alpha with the best Q"),
}


class Rules(NamedTuple):
    """R lambda rules on one batch; the last is the recipe's own."""

    kind: np.ndarray
    """[R] int, 0 constant, 1 adaptive, 2 own."""
    setting: np.ndarray
    """[R] lambda, alpha, or the mean lambda of the own rule."""
    lam: Tensor
    """[R, B]."""


class Moments(NamedTuple):
    """Of the gradient contribution g of one response, under each of R rules."""

    signal: np.ndarray
    """[R] (E g . grad J)^2 / |grad J|^2."""
    square: np.ndarray
    """[R] |E g|^2."""
    trace: np.ndarray
    """[R] trace of the covariance per response, answers to one prompt counted as the batch has them."""

    def quality(self, batch: int) -> np.ndarray:
        """[R] Q of the mean of `batch` responses (METHODS.md section 0); consistent, and not cut to [0, 1]."""
        return self.signal / (self.square + self.trace / batch)


def measure(view: View) -> Measurement:
    """Squared advantage error by length, and gradient quality, for constant lambdas, alphas and the own rule.

    Error: E (A_hat_t - A_t)^2 over tokens but the last, where no lambda matters; A_t = V_{t+1} - V_t, exact or from 2K
    continuations whose noise variance is taken off. It counts the -e_t that is harmless as a baseline (METHODS.md R1).
    Quality: Q = (E g . grad J)^2 / (|grad J|^2 E|g|^2) of g = (1/B) sum_i sum_t A_hat_t psi_t, unwhitened, with B the
    recipe's responses per step; prompts are drawn from the pool with replacement, so that groups are independent. It
    is left out where no rule's gradient along grad J is distinguishable from 0, as near the end of training.

    Raises:
        CannotRun: without a critic no lambda acts; or all responses are one token long.
    """
    if not view.recipe.credit.needs_critic:
        raise CannotRun("lambda_profile: this recipe has no critic, so no lambda")
    gradient = view.world.exact_gradient(view.pool)
    problems, rollout, batch, size = _sample(view, exact=gradient is not None)
    values = view.recipe.values(view.world, batch, problems, view.settings, view.seed("lambda_profile/values")).values
    rules = _rules(view, batch, values)
    advantages = torch.stack([
        view.recipe.credit.assign(batch, values, lam, view.recipe.decoupled_gae(lam))[0] for lam in rules.lam
    ])  # fmt: skip
    row, squared = _squared_errors(view, problems, rollout, advantages)
    metrics, arrays = _errors_by_length(rules, squared, batch.lengths.cpu().numpy()[row], row // size % 2)
    if gradient is not None and gradient.any():
        truth = gradient.double().cpu().numpy()
        grouped = _group_gradients(view.world.policy, batch, advantages, size)
        found, moments = _quality(rules, grouped, truth, size, view.settings.responses_per_step, batch.lengths)
        metrics |= found
        arrays |= {name: np.tile(x, len(arrays["mse"]) // len(x)) for name, x in moments._asdict().items()}
    return Measurement(metrics, arrays)


def gradient_moments(groups: np.ndarray, truth: np.ndarray, size: int) -> Moments:
    """Unbiased moments from M independent groups' mean gradients: what scatters is taken off the plain squares.

    Args:
        groups: [R, M, D]. truth: [D] grad J. size: responses in a group.
    """
    number = groups.shape[1]
    centre = groups.mean(1)
    scatter = ((groups - centre[:, None]) ** 2).sum((1, 2)) / (number - 1)
    along = groups @ (truth / np.linalg.norm(truth))
    signal = along.mean(1) ** 2 - along.var(axis=1, ddof=1) / number
    return Moments(signal, (centre**2).sum(1) - scatter / number, scatter * size)


def horizon(lam: float, length: float) -> float:
    """sum_{k<l} lambda^k tokens: 1 at lambda 0, l at lambda 1, near 1/(1 - lambda) where l is far beyond it."""
    return length if lam == 1.0 else (1 - lam**length) / (1 - lam)


def chosen_elsewhere(loss: np.ndarray) -> float:
    """Loss of the rule that is best on the other half, mean over both ways. loss: [2, R], a row per half."""
    return float(np.mean([loss[1 - half, loss[half].argmin()] for half in (0, 1)]))


def _sample(view: View, exact: bool) -> tuple[list[Problem], Rollout, Batch, int]:
    """(a problem per response, rollout, graded batch, responses in a group): a fresh batch from the pool."""
    answers = view.recipe.group_sampling.answers if exact else 1
    prompts = max(1, RESPONSES // answers)
    number = GROUPS if exact else GROUPS // 8  # sampled truth costs more, and answers no question of gradients
    chosen = np.random.default_rng(view.seed("lambda_profile/prompts")).integers(len(view.pool), size=number * prompts)
    problems = [view.pool[i] for i in chosen]
    rollout = view.world.engine.generate(problems, answers, view.seed("lambda_profile/responses"))
    grades = grade_all(view.world.task, problems, answers, rollout)
    shaping = view.recipe.shape_reward(rollout.mask.sum(1).cpu(), view.world.task.max_tokens)
    batch = to_batch(rollout, grades, answers, reward_values(grades, view.settings) + shaping)
    return [p for p in problems for _ in range(answers)], rollout, batch, prompts * answers


def _rules(view: View, batch: Batch, values: Tensor) -> Rules:
    lengths = batch.lengths
    constants = [torch.full_like(lengths, lam, dtype=torch.float) for lam in LAMBDAS]
    alphas = [adaptive(view.settings.model_copy(update={"alpha": alpha}))(lengths) for alpha in ALPHAS]
    own = view.recipe.horizon(view.recipe.length_adaptive_gae, batch, values)
    kind = np.repeat([0, 1, 2], [len(LAMBDAS), len(ALPHAS), 1])
    return Rules(kind, np.array([*LAMBDAS, *ALPHAS, float(own.mean())]), torch.stack([*constants, *alphas, own]))


def _squared_errors(
    view: View, problems: list[Problem], rollout: Rollout, advantages: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """(response [N], squared error [R, N] in reward units, unbiased) at tokens that are not their response's last."""
    truth = true_advantages(view.world, rollout, problems, PLACES, CONTINUATIONS, view.seed("lambda_profile/truth"))
    if not len(truth.row):
        raise CannotRun("lambda_profile: all responses are one token long")
    span = view.settings.reward_high - view.settings.reward_low
    found = advantages[:, truth.row, truth.time].double().cpu().numpy()
    return truth.row, (found - span * truth.value) ** 2 - span**2 * truth.noise


def _errors_by_length(
    rules: Rules, squared: np.ndarray, length: np.ndarray, half: np.ndarray
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Metrics and columns, a row per stratum and rule; squared [R, N]; length and half [N]."""
    halves = np.stack([squared[:, half == number].mean(1) for number in (0, 1)])
    metrics = _of_rules("mse", rules, halves, sign=1.0)
    third = np.searchsorted(np.quantile(length, [1 / 3, 2 / 3]), length, side="right")  # cut-off ones count as long
    columns: list[np.ndarray] = []
    for number, name in enumerate(STRATA):
        inside = third == number
        if inside.any():
            mse, mean = squared[:, inside].mean(1), float(length[inside].mean())
            best = float(rules.setting[np.where(rules.kind == 0, mse, np.inf).argmin()])
            metrics |= {f"lambda_profile/horizon_{name}": horizon(best, mean), f"lambda_profile/length_{name}": mean}
            columns.append(
                np.stack([rules.kind, rules.setting, np.full_like(mse, number), np.full_like(mse, mean), mse])
            )
    names = ("kind", "setting", "stratum", "length", "mse")
    return metrics, dict(zip(names, np.concatenate(columns, axis=1), strict=True))


def _of_rules(name: str, rules: Rules, halves: np.ndarray, sign: float) -> dict[str, float]:
    """The own rule's number and those of the best constant and alpha; halves [2, R], better where sign * x is lower."""
    picked = {
        rule: sign * chosen_elsewhere(sign * halves[:, rules.kind == kind])
        for kind, rule in enumerate(("constant", "adaptive"))
    }
    return {f"lambda_profile/{name}_{rule}": x for rule, x in {"own": float(halves[:, -1].mean()), **picked}.items()}


def _group_gradients(policy: nn.Module, batch: Batch, advantages: Tensor, size: int) -> np.ndarray:
    """[R, M, D] mean over a group's responses of sum_t A_hat_t psi_t, under every rule. Reads only."""
    parameters = [p for p in policy.parameters() if p.requires_grad]
    groups = []
    for rows in torch.arange(len(batch.mask)).split(size):
        logp, _ = policy(batch.take(rows))
        found = [
            torch.autograd.grad((a * logp).sum() / size, parameters, retain_graph=True, materialize_grads=True)
            for a in advantages[:, rows]
        ]
        groups.append(torch.stack([torch.cat([g.flatten() for g in row]) for row in found]))
    return torch.stack(groups, dim=1).double().cpu().numpy()


def _quality(
    rules: Rules, groups: np.ndarray, truth: np.ndarray, size: int, batch: int, lengths: Tensor
) -> tuple[dict[str, float], Moments]:
    """Metrics of Q, none if no rule's mean gradient is 3 standard errors clear of 0 along grad J, and all groups' moments."""
    moments, along = gradient_moments(groups, truth, size), groups @ truth
    if not (np.abs(along.mean(1)) > 3 * along.std(axis=1, ddof=1) / np.sqrt(groups.shape[1])).any():
        return {}, moments
    halves = np.stack([gradient_moments(groups[:, half::2], truth, size).quality(batch) for half in (0, 1)])
    quality = moments.quality(batch)
    best = [float(rules.setting[np.where(rules.kind == kind, quality, -np.inf).argmax()]) for kind in (0, 1)]
    return _of_rules("quality", rules, halves, sign=-1.0) | {
        "lambda_profile/horizon_quality": horizon(best[0], float(lengths.float().mean())),
        "lambda_profile/alpha_quality": best[1],
    }, moments
