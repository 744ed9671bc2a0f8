"""Random tabular reasoning MDPs and critic errors: the instances that exact answers are replicated over."""

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from vapo_core.oracles.tabular import TabularMDP
from vapo_core.settings import Frozen


class InstanceDials(Frozen):
    """Dials of a random reasoning MDP."""

    horizon: int = Field(16, ge=1, description="most tokens in a response")
    branching: int = Field(3, ge=2, description="actions per decision")
    situations: int = Field(4, ge=1, description="states on track, in addition to the erring and the dead one")
    slip: float = Field(0.15, ge=0, le=1, description="share of actions on track that lead into a recoverable error")
    fatal: float = Field(0.10, ge=0, le=1, description="share of actions that lead into a fatal error")
    recover: float = Field(0.4, ge=0, le=1, description="share of actions in error that lead back on track")
    filler: int = Field(0, ge=0, description="forced tokens after every decision")
    sparsity: float = Field(0.5, ge=0, lt=1, description="share of endings on track that are not rewarded")
    stop: float = Field(0.0, ge=0, lt=1, description="mean probability of stopping at a decision; 0 = fixed length")
    linger: float = Field(0.0, ge=0, lt=1, description="share of actions on track that keep the state")
    notice: int = Field(0, ge=0, description="decisions after a fatal error until a late_notice critic sees it")
    sharpness: float = Field(1.0, ge=0, description="standard deviation of the policy's logits in nats")


class Instance(NamedTuple):
    """A drawn MDP; situations are those on track, then the recoverable error, then dead ends by their age."""

    mdp: TabularMDP
    on_track: int
    """Situations on track: numbers 0 .. on_track - 1."""
    notice: int
    """Dead ends younger than this look alive to a late_notice critic."""


def reasoning_mdp(dials: InstanceDials, rng: np.random.Generator) -> Instance:
    """Draw an MDP and a policy, again and again until success is neither impossible nor certain (J in 0.01 .. 0.99)."""
    while True:
        instance = _draw(dials, rng)
        if 0.01 < instance.mdp.expected_return < 0.99:
            return instance


def _draw(dials: InstanceDials, rng: np.random.Generator) -> Instance:
    """One MDP and policy."""
    on_track, width = dials.situations, dials.situations + 2 + dials.notice
    error, fresh = on_track, on_track + 1
    actions = dials.branching + (dials.stop > 0)
    shape = (dials.horizon, width, actions)
    to = rng.integers(on_track, size=shape)
    if dials.linger > 0:
        same = np.broadcast_to(np.arange(on_track)[:, None], (dials.horizon, on_track, actions))
        to[:, :on_track] = np.where(rng.random(same.shape) < dials.linger, same, to[:, :on_track])
    chance = rng.random(shape)
    to[chance < dials.slip] = error
    to[:, error] = np.where(rng.random(shape[::2]) < dials.recover, rng.integers(on_track, size=shape[::2]), error)
    to[rng.random(shape) < dials.fatal] = fresh
    for age in range(dials.notice + 1):  # a dead end only grows older
        to[:, fresh + age] = fresh + min(age + 1, dials.notice)
    right = rng.random(width) >= dials.sparsity
    right[rng.integers(on_track)] = True
    right[error:] = False
    policy = _softmax(dials.sharpness * rng.normal(size=shape))
    ends = np.zeros(shape, bool)
    ends[-1] = True
    reward = right[to].astype(float)
    if dials.stop > 0:  # the last action stops where the walker stands
        ends[:, :, -1] = True
        reward[:, :, -1] = right[np.arange(width)]
        policy = _with_stop(policy, dials.stop * rng.uniform(0.5, 1.5, size=shape[:2]))
    start = np.concatenate([rng.dirichlet(np.ones(on_track)), np.zeros(width - on_track)])
    mdp = with_filler(TabularMDP(to, ends, reward * ends, policy, start), dials.filler)
    return Instance(mdp, on_track, dials.notice)


def with_filler(mdp: TabularMDP, filler: int) -> TabularMDP:
    """The same MDP with `filler` forced tokens before every decision but the first: length without decisions."""
    if filler == 0:
        return mdp
    horizon, situations, actions = mdp.shape
    stride = filler + 1
    total = (horizon - 1) * stride + 1
    here = np.broadcast_to(np.arange(situations)[:, None], (situations, actions))
    to = np.broadcast_to(here, (total, situations, actions)).copy()
    ends, reward = np.zeros(to.shape, bool), np.zeros(to.shape)
    policy = np.zeros(to.shape)
    policy[:, :, 0] = 1.0
    for whole, spread in ((mdp.next, to), (mdp.ends, ends), (mdp.reward, reward), (mdp.policy, policy)):
        spread[::stride] = whole
    return TabularMDP(to, ends, reward, policy, mdp.start)


ErrorKind = Literal[
    "none", "constant", "position", "state", "autocorrelated", "self_similar", "shrinkage", "late_notice"
]


def critic_with_error(
    instance: Instance, kind: ErrorKind, size: float, rng: np.random.Generator, reach: float = 4.0
) -> np.ndarray:
    """[T + 1, S] V_hat = V + e with a frozen error e (i.i.d. noise is an argument of the moments).

    Args:
        kind: none; constant (e = size); position (depends on t alone); state (independent over (t, s)); autocorrelated
            along the chain over `reach` tokens; self_similar (over `reach` percent of the horizon); shrinkage
            (e = -size (V - mean V)); late_notice (a share `size` of the way to giving young dead ends the value of the
            track).
        size: standard deviation in reward units, or the constant, or the share shrunk.
        reach: correlation length, tokens or percent of the horizon.
    """
    mdp = instance.mdp
    horizon, situations, _ = mdp.shape
    values = mdp.values[:-1]
    draw = rng.normal(size=(horizon, situations))
    makers = {
        "none": lambda: np.zeros_like(values),
        "constant": lambda: np.full_like(values, size),
        "position": lambda: np.repeat(size * draw[:, :1], situations, axis=1),
        "state": lambda: size * draw,
        "autocorrelated": lambda: size * _autoregressive(draw, reach),
        "self_similar": lambda: size * _autoregressive(draw, max(1.0, reach / 100 * horizon)),
        "shrinkage": lambda: -size * (values - (mdp.occupancy * values).sum() / mdp.occupancy.sum()),
        "late_notice": lambda: size * _late(instance),
    }
    critic = np.zeros((horizon + 1, situations))
    critic[:-1] = values + makers[kind]()
    return critic


def _late(instance: Instance) -> np.ndarray:
    """[T, S] error of a critic that takes a dead end younger than `notice` for the mean situation on track."""
    mdp, on_track = instance.mdp, instance.on_track
    values = mdp.values[:-1]
    weight = mdp.occupancy[:, :on_track] + 1e-12
    track = (weight * values[:, :on_track]).sum(1) / weight.sum(1)
    young = slice(on_track + 1, on_track + 1 + instance.notice)
    error = np.zeros_like(values)
    error[:, young] = track[:, None] - values[:, young]
    return error


def _autoregressive(draw: np.ndarray, reach: float) -> np.ndarray:
    """Stationary unit-variance AR(1) along axis 0 with correlation exp(-1 / reach) per token."""
    rho = float(np.exp(-1.0 / reach))
    out = draw.copy()
    for t in range(1, len(out)):
        out[t] = rho * out[t - 1] + np.sqrt(1 - rho**2) * draw[t]
    return out


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def _with_stop(policy: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Give the last action probability `stop` [T, S] and scale the others to the rest."""
    stop = np.clip(stop, 0.0, 0.95)[:, :, None]
    others = policy[:, :, :-1] / policy[:, :, :-1].sum(2, keepdims=True)
    return np.concatenate([(1 - stop) * others, stop], axis=2)
