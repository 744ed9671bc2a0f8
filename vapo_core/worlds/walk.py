"""The walk world: an engine for the walk, and exact values by backward induction."""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from vapo_core.distributed.ranks import Ranks, Single
from vapo_core.oracles.monte_carlo import Continued
from vapo_core.seeds import torch_generator
from vapo_core.tasks.walk import ACTIONS, LEFT, NAMES, RIGHT, STOP, Walk, WalkPath
from vapo_core.types import Batch, Problem, Rollout
from vapo_core.worlds.base import Branches, TokenDescription
from vapo_core.worlds.walk_networks import WalkCritic, WalkPolicy, merge_tokens
from vapo_core.worlds.walk_values import Rings, action_slices, occupancy, values


class WalkEngine:
    """Samples all responses side by side, one decision at a time; finished walks leave the batch."""

    exact = True

    def __init__(self, walk: Walk, policy: WalkPolicy) -> None:
        self.walk, self.policy = walk, policy
        self.transitions = torch.from_numpy(walk.transitions)

    def sync(self) -> None:
        """The engine reads the policy itself."""

    def release(self) -> None:
        """It has no memory of its own."""

    @torch.no_grad()
    def generate(self, problems: Sequence[Problem], answers_each: int, seed: int) -> Rollout:
        """Sample `answers_each` walks per problem."""
        generator = torch_generator(seed)
        state = torch.from_numpy(self.walk.start_states(problems)).repeat_interleave(answers_each)
        luck = torch.rand(len(state), generator=generator)
        decisions, left = [], torch.arange(len(state))  # rows that are still walking
        for number in range(self.walk.dials.horizon):
            noise = torch.rand(len(state), ACTIONS, generator=generator)  # drawn for all: rows never shift each other
            here = state[left]
            rows = self.policy.log_probs(here, torch.full_like(left, number))
            gumbel = -torch.log(-torch.log(noise[left].clamp(1e-12, 1 - 1e-7)))
            chosen = (rows + gumbel).argmax(1)
            action = torch.zeros_like(state).index_copy_(0, left, chosen)
            logp = luck.new_zeros(len(state)).index_copy_(0, left, rows.gather(1, chosen[:, None]).squeeze(1))
            walking = torch.zeros(len(state), dtype=torch.bool).index_fill_(0, left, True)
            decisions.append((state, action, logp, walking))
            state = state.index_copy(0, left, self.transitions[here, chosen])
            left = left[chosen < self.walk.ending]
            if not len(left):
                break
        return self._rollout(decisions, torch.zeros(len(state), dtype=torch.bool).index_fill_(0, left, True), luck)

    @torch.no_grad()
    def complete(self, state: Tensor, decision: Tensor, seed: int) -> tuple[Tensor, int]:
        """[N] rewards of continuing from states at their decisions to the end, and the tokens sampled."""
        generator, reward = torch_generator(seed), torch.zeros(len(state))
        luck = torch.rand(len(state), generator=generator)
        walking, tokens, stride = torch.ones(len(state), dtype=torch.bool), 0, 1 + self.walk.dials.filler
        chance = torch.from_numpy(
            self.walk.stop_reward
        ).float()  # 1 at a goal, `trap_reward` for a guess, 0 once broken
        while walking.any():
            rows = self.policy.log_probs(state[walking], decision[walking])
            action = torch.zeros_like(state)
            action[walking] = torch.multinomial(rows.exp(), 1, generator=generator).squeeze(1)
            stops = walking & (action >= self.walk.ending)
            tokens += int(stops.sum()) + stride * int((walking & ~stops).sum())
            state = torch.where(walking, self.transitions[state, action], state)
            decision = decision + walking.long()
            late = walking & ~stops & (decision >= self.walk.dials.horizon)
            judged = stops | late & self.walk.dials.fixed_length
            reward = torch.where(judged, (luck < chance[state]).float(), reward)
            walking = walking & ~stops & ~late
        return reward, tokens

    def follow(self, problems: Sequence[Problem], actions: Sequence[tuple[int, ...]]) -> Rollout:
        """Given actions in the form of sampled ones, log-probabilities 0."""
        state = torch.from_numpy(self.walk.start_states(problems))
        decisions = []
        for number in range(max(map(len, actions))):
            walking = torch.tensor([number < len(path) for path in actions])
            action = torch.tensor([path[number] if number < len(path) else 0 for path in actions])
            decisions.append((state, action, torch.zeros(len(state)), walking))
            state = torch.where(walking, self.transitions[state, action], state)
        truncated = torch.tensor([path[-1] != STOP for path in actions])
        return self._rollout(decisions, truncated, torch.zeros(len(state)))

    def _rollout(self, decisions: list, truncated: Tensor, luck: Tensor) -> Rollout:
        """Lay decisions out as tokens, each move followed by its filler; filler after the last token is cut."""
        stride = 1 + self.walk.dials.filler
        columns = [torch.stack(x, dim=1) for x in zip(*decisions, strict=True)]
        state, action, logp, mask = (x.repeat_interleave(stride, dim=1) for x in columns)
        phase = torch.arange(state.shape[1]) % stride
        decision = torch.arange(state.shape[1]) // stride
        is_filler = (phase > 0).expand_as(mask)
        inputs = {
            "state": torch.where(is_filler, self.transitions[state, action], state),
            "decision": (decision + (phase > 0).long()).expand_as(state).contiguous(),
            "phase": phase.expand_as(state).contiguous(),
            "action": action,
        }
        moves_on = ~(is_filler & (action >= self.walk.ending)) & mask
        length = columns[3].shape[1] * stride - (stride - 1) * int(columns[3].shape[1] == self.walk.dials.horizon)
        keep = slice(0, length)
        lengths = columns[3].sum(1).tolist()  # decisions are made without a break
        paths = tuple(
            WalkPath(tuple(taken[:n]), u)
            for taken, n, u in zip(columns[1].tolist(), lengths, luck.tolist(), strict=True)
        )
        return Rollout(
            inputs={name: x[:, keep] for name, x in inputs.items()},
            mask=moves_on[:, keep],
            logp=torch.where(is_filler, 0.0, logp)[:, keep],
            responses=paths,
            truncated=truncated & (not self.walk.dials.fixed_length),
            step=decision.expand(mask.shape)[:, keep].contiguous(),
        )


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
        """What is known without sampling: J over every held-out problem."""
        return {"val/exact_j": float(self.exact_return(self.task.problems["held_out"]))}

    # --- for probes ---

    def exact_gradient(self, problems: Sequence[Problem]) -> Tensor:
        """grad J by backward induction, flat."""
        parameters = list(self.policy.parameters())
        found = torch.autograd.grad(self.exact_return(problems), parameters)
        return torch.cat([g.reshape(-1) for g in found])

    @torch.no_grad()
    def exact_change(self, policy: WalkPolicy, problems: Sequence[Problem]) -> float:
        """J of another policy minus J of this world's."""
        return float(self.exact_return(problems, policy) - self.exact_return(problems))

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
        table = action_slices(self.task, self.policy.log_probs, rings.states)
        visits = [walks for _, walks in occupancy(rings, [rings.number[starts]], table)]
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
