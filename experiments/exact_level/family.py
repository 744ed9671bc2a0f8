"""Families of problems that differ only in length, so that a quantity can be studied as a function of length."""

from typing import NamedTuple

import numpy as np

from experiments.exact_level.plans import Error, Plan
from vapo_core.oracles.instances import Instance, InstanceDials, critic_with_error, reasoning_mdp, with_filler
from vapo_core.oracles.tabular import TabularMDP


class Member(NamedTuple):
    """One problem of a family, and a critic for it."""

    mdp: TabularMDP
    on_track: int
    """Number of states on track: states 0 .. on_track - 1."""
    error: np.ndarray
    """[T, S] frozen error of a critic, at the size the plan states."""
    stride: int
    """Tokens per decision."""

    def critic(self, share: float = 1.0) -> np.ndarray:
        """[T + 1, S] V + share * error."""
        found = np.zeros_like(self.mdp.values)
        found[:-1] = self.mdp.values[:-1] + share * self.error
        return found

    def spread(self) -> float:
        """Standard deviation of the error over the states of one position, in reward: the part that biases the gradient."""
        weight = self.mdp.occupancy / self.mdp.occupancy.sum()
        here = weight.sum(1, keepdims=True)
        centre = np.divide((weight * self.error).sum(1, keepdims=True), here, where=here > 0, out=np.zeros_like(here))
        return float(np.sqrt((weight * (self.error - centre) ** 2).sum()))


def member(plan: Plan, length: int, seed: int) -> Member:
    """The problem of that length in the family `seed`. The error has its own random stream, so kinds of error share problems.

    With L = dials.horizon, the reference length:
    decisions: more decisions of the same kind. The chance of a fatal error per response is kept, so it is fatal L/length per
        token; local events (slip, recovery) keep their rate per token.
    filler: still L decisions, with forced tokens between them, over which the error persists.
    slow: all rates per token are scaled by L/length; an error whose reach is a percentage of the horizon is then
        self-similar.

    Args:
        plan: dials, growth, error.
        length: tokens; where responses may stop early, approximately their mean length; the limit is plan.spare times that.
        seed: of the spec.
    """
    rng = np.random.default_rng([seed, length, 0])
    error_rng = np.random.default_rng([seed, length, 1])
    instance = reasoning_mdp(dials_at(plan, length), rng)
    error = frozen_error(instance, plan.error, error_rng)
    if plan.growth != "filler":
        return Member(instance.mdp, instance.on_track, error, 1)
    stride = length // plan.dials.horizon
    mdp = with_filler(instance.mdp, stride - 1)
    decision = -(-np.arange(mdp.shape[0]) // stride)  # the decision that a token is, or leads up to
    return Member(mdp, instance.on_track, error[decision], stride)


def dials_at(plan: Plan, length: int) -> InstanceDials:
    """Dials of the problem at a length, without filler."""
    base, rate = plan.dials, plan.dials.horizon / length
    if plan.growth == "filler":
        return base
    changed: dict[str, float] = {"horizon": length, "fatal": base.fatal * rate}
    if plan.growth == "slow":
        changed |= {"slip": base.slip * rate, "recover": base.recover * rate, "linger": 1 - rate}
    if plan.variable:
        changed |= {"horizon": round(plan.spare * length), "stop": 1 / length}
    return InstanceDials(**{**base.model_dump(), **changed})


def frozen_error(instance: Instance, error: Error, rng: np.random.Generator) -> np.ndarray:
    """[T, S] the critic's frozen error, without i.i.d. noise."""
    critic = critic_with_error(instance, error.kind, error.size, rng, error.reach)
    return critic[:-1] - instance.mdp.values[:-1]
