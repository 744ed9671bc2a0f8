"""VAPO's update with an infinite batch: every response of a small problem, weighted by its probability (h6a, R8).

Without sampling an update does only what the objective asks for, so any fall of J is due to the objective.
"""

from dataclasses import dataclass, replace

import numpy as np

from experiments.exact_level.family import member
from experiments.exact_level.measured import Measured, columns
from experiments.exact_level.plans import Updates
from vapo_core.oracles.responses import Responses, listed
from vapo_core.oracles.tabular import TabularMDP, adaptive

CLIP_LOW = 0.2
EXACTLY = 1e-6
"""Smaller falls of J count as none, as on the walk."""


def measure(plan: Updates, seed: int) -> Measured:
    """Train the policy for `plan.updates` updates with a critic that has one frozen error throughout.

    Table `updates`, a row per update: j before it; delta_j; predicted = gain of the recipe's own clipped
    objective, in reward (whitening's scale undone, token weights 1 on average); surrogate = sum of (ratio - 1) A with true
    advantages; shift = delta_j - surrogate; bound = R8 for ratios within those seen; tv, mean over tokens. Metrics:
    the share of updates that lower J, of those before J first exceeds 0.95 and after, and the slope of delta_j on
    predicted.
    """
    found = member(plan, plan.lengths[0], seed)
    problem = EnumeratedProblem.of(found.mdp, plan)
    logits, rows = np.log(found.mdp.policy), []
    climb = Adam(plan.move, logits.shape) if plan.adam else Ascent(first_rate(problem, logits, found.error))
    for _ in range(plan.updates):
        batch, after = problem.batch(logits, found.error), logits
        for _ in range(plan.inner):
            after = after + climb.step(problem.gradient(batch, after))
        rows.append(problem.compare(batch, logits, after))
        logits = after
    table = columns(rows)
    return Measured({f"exact/{k}": v for k, v in _summary(table).items()}, {"updates": table})


def _summary(table: dict[str, np.ndarray]) -> dict[str, float]:
    """Shares of updates that lower J, and the slope of the actual on the predicted change."""
    fell, late = table["delta_j"] < -EXACTLY, np.maximum.accumulate(table["j"]) > 0.95
    slope = float((table["predicted"] @ table["delta_j"]) / (table["predicted"] @ table["predicted"]))
    found = {"fell": float(fell.mean()), "slope": slope, "last_j": float(table["j"][-1] + table["delta_j"][-1])}
    for name, part in (("early", ~late), ("late", late)):
        if part.any():
            found[f"fell_{name}"] = float(fell[part].mean())
    return found


@dataclass(frozen=True)
class EnumeratedBatch:
    """Every response under one policy; T tokens, N responses."""

    chance: np.ndarray
    """[N] probability of each response."""
    logp: np.ndarray
    """[T, N], 0 after the end."""
    advantage: np.ndarray
    """[T, N] whitened."""
    scale: float
    """Standard deviation that whitening divided by, in reward."""
    true: np.ndarray
    """[T, N] true advantages Q - V."""


@dataclass(frozen=True)
class EnumeratedProblem:
    """A problem with all its responses, and the recipe's settings."""

    mdp: TabularMDP
    responses: Responses
    token: np.ndarray
    """[T, N] index of (t, s, a) in the flattened logits."""
    start: np.ndarray
    """[N] probability of each response's initial state."""
    lam: np.ndarray
    """[T + 1] lambda at each length."""
    plan: Updates

    @classmethod
    def of(cls, mdp: TabularMDP, plan: Updates) -> "EnumeratedProblem":
        """List the responses."""
        responses, _ = listed(mdp)
        time = np.arange(mdp.shape[0])[:, None]
        token = np.ravel_multi_index((time, responses.states, responses.actions), mdp.shape)
        lam = adaptive(plan.alpha, mdp.shape[0]) if plan.lam is None else np.full(mdp.shape[0] + 1, plan.lam)
        return cls(mdp, responses, token, mdp.start[responses.states[0]], lam, plan)

    def logp(self, logits: np.ndarray) -> np.ndarray:
        """[T, N] log-probability of the tokens taken, 0 after the end."""
        shifted = logits - logits.max(2, keepdims=True)
        table = shifted - np.log(np.exp(shifted).sum(2, keepdims=True))
        return np.where(self.responses.mask, table.ravel()[self.token], 0.0)

    def batch(self, logits: np.ndarray, error: np.ndarray) -> EnumeratedBatch:
        """Advantages under V + error of the current policy, whitened over all tokens."""
        mask, states = self.responses.mask, self.responses.states
        now = replace(self.mdp, policy=_softmax(logits))
        logp, times = self.logp(logits), np.arange(len(mask))[:, None]
        chance = self.start * np.exp(logp.sum(0))
        raw = self._advantages(np.where(mask, (now.values[:-1] + error)[times, states], 0.0))
        weight = mask * chance
        centre = (weight * raw).sum() / weight.sum()
        scale = float(np.sqrt((weight * (raw - centre) ** 2).sum() / weight.sum())) + 1e-8
        true = (now.action_values - now.values[:-1][:, :, None]).ravel()[self.token]
        return EnumeratedBatch(
            chance, logp, np.where(mask, (raw - centre) / scale, 0.0), scale, np.where(mask, true, 0.0)
        )

    def _advantages(self, values: np.ndarray) -> np.ndarray:
        """[T, N] GAE with each response's own lambda."""
        length, mask = self.responses.length, self.responses.mask
        delta = np.diff(np.concatenate([values, np.zeros((1, values.shape[1]))]), axis=0)
        delta[length - 1, np.arange(values.shape[1])] += self.responses.reward
        lam, follow = self.lam[length], np.zeros(values.shape[1])
        found = np.zeros_like(delta)
        for t in reversed(range(len(delta))):
            follow = np.where(mask[t], delta[t] + lam * follow, 0.0)
            found[t] = follow
        return found

    def weights(self, batch: EnumeratedBatch) -> tuple[np.ndarray, np.ndarray]:
        """[T, N] weights of tokens in the policy loss and, mu included, in the positive-example loss."""
        mask, length = self.responses.mask, self.responses.length
        if self.plan.reduction == "token_mean":
            policy = mask * batch.chance / (batch.chance @ length)
        else:
            policy = mask * batch.chance / length
        right = mask * (batch.chance * (self.responses.reward == 1))
        return policy, self.plan.mu * right / max(right.sum(), 1e-300)

    def gradient(self, batch: EnumeratedBatch, logits: np.ndarray) -> np.ndarray:
        """[T, S, A] ascent direction of the clipped surrogate plus the positive-example log-likelihood."""
        ratio = np.exp(self.logp(logits) - batch.logp)
        policy, positive = self.weights(batch)
        high = 1 + self.plan.clip_high
        clipped = np.where(batch.advantage > 0, ratio > high, ratio < 1 - CLIP_LOW)
        weight = np.where(clipped, 0.0, policy * ratio * batch.advantage) + positive
        taken = np.bincount(self.token.ravel(), weight.ravel(), logits.size).reshape(logits.shape)
        return taken - taken.sum(2, keepdims=True) * _softmax(logits)

    def compare(self, batch: EnumeratedBatch, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
        """Predicted and actual effects of one update."""
        logp, mask = self.logp(after), self.responses.mask
        ratio = np.where(mask, np.exp(logp - batch.logp), 1.0)
        policy, positive = self.weights(batch)
        bounded = np.clip(ratio, 1 - CLIP_LOW, 1 + self.plan.clip_high)
        gain = policy * (np.minimum(ratio * batch.advantage, bounded * batch.advantage) - batch.advantage)
        promised = (gain + positive * (logp - batch.logp)).sum() * batch.scale * float(batch.chance @ mask.sum(0))
        surrogate = float((batch.chance * ((ratio - 1) * batch.true).sum(0)).sum())
        j, later = (replace(self.mdp, policy=_softmax(x)).expected_return for x in (before, after))
        low, high = max(1 - float(ratio.min()), 0.0), max(float(ratio.max()) - 1, 0.0)
        tv = low * high / (low + high) if low + high > 0 else 0.0
        length, weight = float(self.responses.length.max()), mask * batch.chance
        return {
            "j": j, "delta_j": later - j, "predicted": float(promised), "surrogate": surrogate,
            "shift": later - j - surrogate, "bound": 2 * length * (length - 1) * tv**2 * float(np.abs(batch.true).max()),
            "tv": 0.5 * float((weight * np.abs(ratio - 1)).sum() / weight.sum()),
        }  # fmt: skip


class Ascent:
    """Plain gradient ascent."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """Change of the logits."""
        return self._rate * gradient


class Adam:
    """The trainer's optimiser, without weight decay (arXiv:1412.6980)."""

    def __init__(self, rate: float, shape: tuple[int, ...]) -> None:
        self._rate, self._count = rate, 0
        self._mean, self._square = np.zeros(shape), np.zeros(shape)

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """Change of the logits."""
        self._count += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        root = np.sqrt(self._square / (1 - 0.999**self._count))
        return self._rate * self._mean / (1 - 0.9**self._count) / (root + 1e-8)


def first_rate(problem: EnumeratedProblem, logits: np.ndarray, error: np.ndarray) -> float:
    """Rate at which the first gradient step changes log-probabilities by plan.move, root mean square over tokens."""
    batch = problem.batch(logits, error)
    direction = problem.gradient(batch, logits)
    step = 1e-4 / max(float(np.abs(direction).max()), 1e-300)
    change = problem.logp(logits + step * direction) - batch.logp
    weight = problem.responses.mask * batch.chance
    return problem.plan.move * step / float(np.sqrt((weight * change**2).sum() / weight.sum()))


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)
