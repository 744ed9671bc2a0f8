"""The walk world, with exact values by backward induction."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from vapo_core.distributed.ranks import Ranks, Single
from vapo_core.oracles.monte_carlo import Continued
from vapo_core.tasks.walk import LEFT, NAMES, RIGHT, STOP, Walk
from vapo_core.types import Batch, Problem, Rollout
from vapo_core.worlds.base import Branches, TokenDescription
from vapo_core.worlds.walk_engine import WalkEngine
from vapo_core.worlds.walk_networks import WalkCritic, WalkPolicy, merge_tokens
from vapo_core.worlds.walk_values import Rings, occupancy, values

EXAMINED = 4096
"""Unbroken states that the problems of an evaluation may come to: all of a ring of up to 64 cells."""


class WalkWorld:
    """Policy, critic, engine and task of one run on the walk, with exact values under any policy."""

    repeats = True

    def __init__(
        self, walk: Walk, width: int, temperature: float, critic_bias: float, base_seed: int, head_seed: int
    ) -> None:
        """Args: base_seed initialises the policy, head_seed what the critic does not take over from it."""
        self.task = walk
        self._again = partial(WalkWorld, walk, width, temperature, critic_bias, base_seed, head_seed)
        torch.manual_seed(base_seed)
        self.policy = WalkPolicy(walk, width, temperature)
        torch.manual_seed(head_seed)
        self.critic: nn.Module = WalkCritic(self.policy, walk, width, critic_bias)
        self.engine = WalkEngine(walk, self.policy)
        self.ranks: Ranks = Single()
        self.identity: Mapping[str, Any] = {
            "world": "walk", "dials": walk.dials.model_dump(), "width": width, "temperature": temperature,
            "critic_bias": critic_bias, "base": base_seed, "head": head_seed,
        }  # fmt: skip

    def join(self, ranks: Ranks) -> None:
        """Share passes through the networks. Sampling takes no time, so every rank samples all walks alike."""
        self.ranks = ranks

    # --- exact values ---

    def exact_return(self, problems: Sequence[Problem], policy: WalkPolicy | None = None) -> Tensor:
        """J of a policy (the world's own if none is given), the expected reward averaged over problems.

        A scalar that keeps the graph, so its gradient is exact.
        """
        starts = torch.from_numpy(self.task.start_states(problems))
        reward = torch.from_numpy(self.task.stop_reward)[:, None]
        log_probs = (policy or self.policy).log_probs
        return values(self.task, log_probs, starts, torch.zeros_like(starts), reward).mean()

    @torch.no_grad()
    def exact_outcomes(self, problems: Sequence[Problem]) -> np.ndarray:
        """[N, modes + 1] probability that a response ends at each goal, or by stopping early unbroken."""
        starts = torch.from_numpy(self.task.start_states(problems))
        reward = torch.from_numpy(self.task.outcome_reward)
        return values(self.task, self.policy.log_probs, starts, torch.zeros_like(starts), reward).double().numpy()

    def best_return(self, problems: Sequence[Problem]) -> float:
        """J of the best policy within the horizon."""
        value = self.task.stop_reward * self.task.dials.fixed_length
        for _ in range(self.task.dials.horizon):
            value = np.maximum(self.task.stop_reward, value[self.task.transitions[:, :STOP]].max(1))
        return float(value[self.task.start_states(problems)].mean())

    @torch.no_grad()
    def exact_metrics(self) -> dict[str, float]:
        """What is known without sampling: J over the held-out problems (`evaluated`)."""
        return {"val/exact_j": float(self.exact_return(self.evaluated))}

    @cached_property
    def evaluated(self) -> list[Problem]:
        """The held-out problems; on a large ring those of evenly spaced gaps between goal and hazard, the same in every run.

        Walks from all of them would come to every state of the walk, at every decision.
        """
        held_out, dials = self.task.problems["held_out"], self.task.dials
        gap = np.array([(p.answer.hazard - p.answer.goal) % dials.size for p in held_out], int)
        there, most = np.unique(gap), max(1, EXAMINED // (dials.size * (dials.sparsity + 1)))
        if len(there) <= most:
            return held_out
        kept = there[np.arange(most) * len(there) // most]
        return [p for p, own in zip(held_out, np.isin(gap, kept), strict=True) if own]

    # --- for probes ---

    def exact_gradient(self, problems: Sequence[Problem]) -> Tensor:
        """grad J by backward induction, flat."""
        parameters = list(self.policy.parameters())
        found = torch.autograd.grad(self.exact_return(problems), parameters)
        return torch.cat([g.reshape(-1) for g in found])

    def exact_change(self, policy: WalkPolicy, problems: Sequence[Problem]) -> float:
        """J of another policy minus J of this world's."""
        return self.exact_changes(problems)(policy)

    @torch.no_grad()
    def exact_changes(self, problems: Sequence[Problem]) -> Callable[[WalkPolicy], float]:
        """Function of another policy: its J minus J of this world's, which is computed here, once."""
        before = self.exact_return(problems)

        @torch.no_grad()
        def change(policy: WalkPolicy) -> float:
            return float(self.exact_return(problems, policy) - before)

        return change

    def demonstrated(self, problems: Sequence[Problem], seed: int) -> Batch:
        """The task's demonstrations as responses."""
        rng, letters = np.random.default_rng(seed), {"l": LEFT, "r": RIGHT, ".": STOP}
        actions = [tuple(letters[c] for c in self.task.demonstration(p, rng)) for p in problems]
        return Batch.ungraded(self.engine.follow(problems, actions))

    @torch.no_grad()
    def exact_at(self, responses: Rollout | Batch, row: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Exact values by backward induction; filler has the value of the state its move led to."""
        state, decision = (responses.inputs[name][row, time] for name in ("state", "decision"))
        reward = torch.from_numpy(self.task.stop_reward)[:, None]
        return values(self.task, self.policy.log_probs, state, decision, reward)[:, 0].double().numpy()

    @torch.no_grad()
    def continuations(
        self,
        responses: Rollout | Batch,
        problems: Sequence[Problem],
        row: np.ndarray,
        time: np.ndarray,
        each: int,
        seed: int,
    ) -> Continued:
        """Fresh walks from each place's state to the end."""
        state, decision = (responses.inputs[name][row, time] for name in ("state", "decision"))
        rewards, tokens = self.engine.complete(state.repeat_interleave(each), decision.repeat_interleave(each), seed)
        return Continued(rewards.view(-1, each).double().numpy(), tokens)

    def branches(self, problems: Sequence[Problem], rollout: Rollout, places: int, seed: int) -> Branches:
        """Both moves at every decision of the responses that leaves time for another; values are exact, so all of them."""
        found = [
            (row, number, way)
            for row, path in enumerate(rollout.responses)
            for number in range(min(len(path.actions), self.task.dials.horizon - 1))
            for way in (LEFT, RIGHT)
        ]
        asked = [problems[row] for row, _, _ in found]
        paths = [(*rollout.responses[row].actions[:number], way, STOP) for row, number, way in found]
        time = np.array([(number + 1) * (1 + self.task.dials.filler) for _, number, _ in found], int)
        row = np.arange(len(found))
        return Branches(self.engine.follow(asked, paths), asked, row, time, row // 2)

    def start(self) -> "WalkWorld":
        """This world before anything was trained."""
        with torch.random.fork_rng():
            return self._again()

    def reference(self) -> WalkPolicy:
        """The present policy, frozen: what a KL penalty holds to."""
        return copy.deepcopy(self.policy).requires_grad_(False)

    @torch.no_grad()
    def reach(self, problems: Sequence[Problem], rollout: Rollout) -> Tensor:
        """[B, T] log-probability of being in a place's state at its decision, from a random one of these problems."""
        starts = torch.from_numpy(self.task.start_states(problems))
        rings = Rings.around(self.task, starts, broken=True)
        visits = [
            torch.zeros(len(rings.states), dtype=torch.float64).index_copy(0, at.here, at.walks)
            for at in occupancy(self.task, self.policy.log_probs, rings, [rings.number[starts]], least=0.0)
        ]
        chances = torch.nn.functional.pad(torch.stack(visits) / len(starts), (0, 1))
        reached = chances[rollout.inputs["decision"].clamp(max=len(visits) - 1), rings.number[rollout.inputs["state"]]]
        return reached.log().where(rollout.mask, 0.0)

    def state_labels(self, batch: Batch) -> Tensor:
        """[B, T] int, number of the state each token is chosen in; that of the move's end on filler."""
        return batch.inputs["state"]

    def merged(self, batch: Batch, weights: Mapping[str, Tensor]) -> tuple[Batch, Mapping[str, Tensor]]:
        """A token for every action that was taken in a state at a decision; filler, which has probability 1, is left out."""
        return merge_tokens(batch, weights)

    def describe(self, rollout: Rollout) -> list[list[TokenDescription]]:
        """The action of every token and the state before it; filler is a dot."""
        row, time = rollout.mask.nonzero(as_tuple=True)
        described: list[list[TokenDescription]] = [[] for _ in rollout.mask]
        names = ("action", "phase", "state")
        columns = (rollout.inputs[name][row, time].tolist() for name in names)
        for at, action, phase, state in zip(row.tolist(), *columns, strict=True):
            described[at].append(TokenDescription("·" if phase else NAMES[action], self.task.describe(state)))
        return described

    # --- checkpoints ---

    def check(self, split: str, problems: Sequence[Problem]) -> None:
        """Every start can be walked from."""

    def try_saving(self) -> None:
        """Weights are all there is."""

    def save(self, folder: Path) -> None:
        """Policy and critic weights as safetensors."""
        for name, module in (("policy", self.policy), ("critic", self.critic)):
            (folder / name).mkdir(parents=True)
            save_model(module, str(folder / name / "model.safetensors"))

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        for name, module in (("policy", self.policy), ("critic", self.critic)):
            load_model(module, str(folder / name / "model.safetensors"))
