"""Responses of a tabular MDP, sampled or listed in full. Shapes: T decisions, N responses."""

from typing import NamedTuple

import numpy as np

from vapo_core.oracles.tabular import TabularMDP

MOST = 200_000
"""Responses that are listed in full."""


class Responses(NamedTuple):
    """N responses of at most T tokens; entries after a response's end mean nothing."""

    states: np.ndarray
    """[T, N] situation before each token."""
    actions: np.ndarray
    """[T, N]."""
    length: np.ndarray
    """[N] tokens."""
    reward: np.ndarray
    """[N]."""

    @property
    def mask(self) -> np.ndarray:
        """[T, N] bool, true up to the end."""
        return np.arange(len(self.states))[:, None] < self.length

    def take(self, rows: np.ndarray) -> "Responses":
        """Some of them, in that order."""
        return Responses(self.states[:, rows], self.actions[:, rows], self.length[rows], self.reward[rows])


def sampled(mdp: TabularMDP, number: int, rng: np.random.Generator, each: int = 1) -> Responses:
    """`number` responses of the MDP's policy; `each` in a row share their first situation, as answers to one prompt do."""
    horizon = mdp.shape[0]
    states, actions = np.zeros((2, horizon, number), int)
    length, reward = np.full(number, horizon), np.zeros(number)
    states[0] = _draw(mdp.start.cumsum(), rng.random(number // each)).repeat(each)
    going = np.ones(number, bool)
    for t in range(horizon):
        actions[t] = _draw(mdp.policy[t].cumsum(1)[states[t]], rng.random(number))
        ends = mdp.ends[t, states[t], actions[t]] & going
        length[ends], reward[ends] = t + 1, mdp.reward[t, states[t], actions[t]][ends]
        going &= ~ends
        if t + 1 < horizon:
            states[t + 1] = mdp.next[t, states[t], actions[t]]
    return Responses(states, actions, length, reward)


def listed(mdp: TabularMDP) -> tuple[Responses, np.ndarray]:
    """Every possible response, and the probability [N] of each.

    Raises:
        ValueError: if there are more than `MOST`.
    """
    found: list[tuple[float, list[int], list[int], float]] = []
    open_: list[tuple[int, int, float, list[int], list[int]]] = [
        (0, s, float(p), [], []) for s, p in enumerate(mdp.start) if p > 0
    ]
    while open_:
        t, s, chance, states, actions = open_.pop()
        for a in np.flatnonzero(mdp.policy[t, s]).tolist():
            path = (chance * float(mdp.policy[t, s, a]), [*states, s], [*actions, a])
            if mdp.ends[t, s, a]:
                found.append((*path, float(mdp.reward[t, s, a])))
            else:
                open_.append((t + 1, int(mdp.next[t, s, a]), *path))
        if len(found) > MOST:
            raise ValueError(f"more than {MOST} responses are possible: too many to list")
    visited, taken = np.zeros((2, mdp.shape[0], len(found)), int)
    for n, (_, there, these, _) in enumerate(found):
        visited[: len(there), n], taken[: len(there), n] = there, these
    length, reward = np.array([len(path[1]) for path in found]), np.array([path[3] for path in found])
    return Responses(visited, taken, length, reward), np.array([path[0] for path in found])


def _draw(cumulative: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """[N] outcomes from cumulative probabilities [K] or [N, K]."""
    return (uniform[:, None] > cumulative).sum(1).clip(max=cumulative.shape[-1] - 1)
