"""Which tokens are blamed when a response makes one error at a known place (h7a, R12)."""

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from experiments.exact_level.family import Member, member
from experiments.exact_level.measured import Measured, columns
from experiments.exact_level.plans import Blame
from vapo_core.oracles.planted import stratified

EARLY = 0.25
"""An error within this first share of the response counts as early."""


class Paths(NamedTuple):
    """N responses that are correct up to one fatal error, K decisions each."""

    states: np.ndarray
    """[N, K] state before each decision; a dead end after the error."""
    place: np.ndarray
    """[N] index of the erring decision."""


def measure(plan: Blame, seed: int) -> Measured:
    """Blame b_t = max(0, -A_t) of planted errors, per length and rule, as `probes.credit` defines its parts.

    Table `blame`, a row per length and rule: alpha (0: a constant lambda), lambda, log_share = log of the mean share of
    blame inside the erring step (nan without any), precision = share of responses whose lowest advantage lies in it, auroc
    of the erring token against tokens outside its step (auroc_early for early errors), log_delay = log of 1 + mean distance
    in tokens from the error to the lowest advantage, blamed = share of responses with any blame, lost = true value lost.
    """
    rows = []
    for length in plan.lengths:
        found, rng = member(plan, length // plan.width, seed), np.random.default_rng([seed, length, 4])
        paths = planted(found, plan.planted, rng)
        delta, lost = td_errors(plan, found, paths, rng)
        for alpha, lam in _rules(plan, delta.shape[1]):
            rows.append({"length": float(delta.shape[1]), "alpha": alpha, "lambda": lam, "lost": lost,
                         **blamed(advantages(delta, lam), paths.place, plan.width)})  # fmt: skip
    lost_mean = float(np.mean([row["lost"] for row in rows]))
    return Measured({"exact/lost": lost_mean}, {"blame": columns(rows)})


def _rules(plan: Blame, length: int) -> list[tuple[float, float]]:
    """(alpha or 0, lambda) of every rule."""
    return [(a, max(0.0, 1 - 1 / (a * length))) for a in plan.alphas] + [(0.0, lam) for lam in plan.lambdas]


def planted(found: Member, number: int, rng: np.random.Generator) -> Paths:
    """Responses of the policy whose first fatal action is at their place.

    If every action of a state is fatal, the response continues in state 0, as if one action were safe.
    """
    mdp, dead = found.mdp, found.on_track + 1
    decisions = mdp.shape[0]
    place = (stratified(number, rng) * (decisions - 1)).astype(int)  # the last decision only ends
    states = np.full((number, decisions), dead)
    here = (rng.random(number)[:, None] > mdp.start.cumsum()).sum(1)
    for t in range(decisions):
        states[:, t] = np.where(t <= place, here, dead)
        to = mdp.next[t][here]
        chance = (mdp.policy[t][here] * (to < dead)).cumsum(1)
        pick = (rng.random(number) * chance[:, -1])[:, None] >= chance
        here = np.where(chance[:, -1] > 0, to[np.arange(number), pick.sum(1).clip(max=to.shape[1] - 1)], 0)
    return Paths(states, place)


def td_errors(plan: Blame, found: Member, paths: Paths, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """[N, l] TD errors token by token under the plan's critic, reward 0 at the end; and the mean true value lost.

    A step is width - 1 forced tokens and the decision; an error of the critic persists over a step.
    """
    mdp, number = found.mdp, len(paths.place)
    times = np.arange(mdp.shape[0])
    true = mdp.values[times, paths.states]
    step = true + found.error[times, paths.states]
    if plan.blind:
        step = np.full_like(true, mdp.expected_return)
    values = step.repeat(plan.width, axis=1)
    after = (paths.place + 1) * plan.width
    noticed = after + plan.delay + round(plan.delay_share * values.shape[1])
    token = np.arange(values.shape[1])
    late = (token >= after[:, None]) & (token < noticed[:, None])
    before = true[np.arange(number), paths.place]
    values = np.where(late, before[:, None], values) + plan.error.noise * rng.normal(size=values.shape)
    delta = np.diff(np.concatenate([values, np.zeros((number, 1))], axis=1), axis=1)
    return delta, float(before.mean())


def advantages(delta: np.ndarray, lam: float) -> np.ndarray:
    """[N, l] A_t = delta_t + lambda A_{t+1}."""
    return lfilter([1.0], [1.0, -lam], delta[:, ::-1], axis=1)[:, ::-1]


def blamed(advantage: np.ndarray, place: np.ndarray, width: int) -> dict[str, float]:
    """Means over responses of the quantities that `probes.credit.blame_of` measures for one response.

    Args:
        advantage: [N, l], unwhitened. place: [N] erring step. width: tokens of a step.
    """
    number, length = advantage.shape
    rows, last = np.arange(number), (place + 1) * width - 1
    inside = last[:, None] - np.arange(width)
    blame = np.maximum(-advantage, 0.0)
    total = blame.sum(1)
    share = blame[rows[:, None], inside].sum(1)[total > 0] / total[total > 0]
    lowest = advantage.min(1)
    at = advantage == lowest[:, None]
    count = at.sum(1)
    precision = at[rows[:, None], inside].sum(1) / count
    delay = (at * np.arange(length)).sum(1) / count - last
    erring = advantage[rows, last][:, None]
    above = (advantage > erring).sum(1) + 0.5 * (advantage == erring).sum(1)
    step = advantage[rows[:, None], inside]
    own = (step > erring).sum(1) + 0.5 * (step == erring).sum(1)
    auroc = (above - own) / (length - width)
    early = last < EARLY * length
    return {
        "log_share": float(np.log(share.mean())) if share.size and share.mean() > 0 else float("nan"),
        "blamed": float((total > 0).mean()),
        "precision": float(precision.mean()),
        "auroc": float(auroc.mean()),
        "auroc_early": float(auroc[early].mean()) if early.any() else float("nan"),
        "log_delay": float(np.log1p(np.abs(delay).mean())),
    }
