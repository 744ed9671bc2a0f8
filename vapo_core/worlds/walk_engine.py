"""The walk's engine: samples, continues and follows walks, and lays them out as tokens."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vapo_core.seeds import torch_generator
from vapo_core.tasks.walk import ACTIONS, STOP, Walk, WalkPath
from vapo_core.types import Problem, Rollout
from vapo_core.worlds.walk_networks import WalkPolicy


class WalkEngine:
    """Samples all responses side by side, one decision at a time; finished walks leave the batch."""

    exact = True

    def __init__(self, walk: Walk, policy: WalkPolicy) -> None:
        self.walk, self.policy = walk, policy
        self.onward = torch.from_numpy(walk.transitions).flatten()

    def sync(self) -> None:
        """The engine reads the policy itself."""

    def release(self) -> None:
        """It has no memory of its own."""

    @torch.no_grad()
    def generate(self, problems: Sequence[Problem], answers_each: int, seed: int) -> Rollout:
        """Sample `answers_each` walks per problem."""
        generator = torch_generator(seed)
        here = torch.from_numpy(self.walk.start_states(problems)).repeat_interleave(answers_each)
        luck = torch.rand(len(here), generator=generator)
        left, made = torch.arange(len(here)), []  # rows that are still walking; decisions made
        for number, noise in zip(range(self.walk.dials.horizon), _gumbel(len(here), generator), strict=False):
            rows = self.policy.log_probs(here, torch.tensor([number]))
            action = (rows + noise.index_select(0, left)).argmax(1)
            made.append((left, here, action, rows.gather(1, action[:, None]).squeeze(1)))
            going = (action < self.walk.ending).nonzero().squeeze(1)
            here, left = self._after(here, action).index_select(0, going), left.index_select(0, going)
            if not len(left):
                break
        return self._rollout(
            *_table(made, len(luck)), torch.zeros(len(luck), dtype=torch.bool).index_fill_(0, left, True), luck
        )

    def _after(self, state: Tensor, action: Tensor) -> Tensor:
        """Next states, in the shape of both."""
        return self.onward.take(ACTIONS * state + action)

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
            state = torch.where(walking, self._after(state, action), state)
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
            state = torch.where(walking, self._after(state, action), state)
        truncated = torch.tensor([path[-1] != STOP for path in actions])
        states, taken, logp, mask = (torch.stack(x, dim=1) for x in zip(*decisions, strict=True))
        return self._rollout(states, taken, logp, mask, truncated, torch.zeros(len(state)))

    def _rollout(
        self, state: Tensor, action: Tensor, logp: Tensor, mask: Tensor, truncated: Tensor, luck: Tensor
    ) -> Rollout:
        """Lay decisions out as tokens, each move followed by its filler; filler after the last token is cut.

        state, action, logp, mask: [B, D], a column per decision. truncated, luck: [B].
        """
        number, filler = state.shape[1], self.walk.dials.filler
        length = number * (1 + filler) - filler * (number == self.walk.dials.horizon)

        def tokens(decisions: Tensor, fillers: Tensor) -> Tensor:
            pieces = [decisions[:, :, None], fillers[:, :, None].expand(-1, -1, filler)]
            return torch.cat(pieces, 2).flatten(1)[:, :length]

        decision = torch.arange(number).expand_as(state)
        lengths = mask.sum(1).tolist()  # decisions are made without a break
        taken = zip(action.tolist(), lengths, luck.tolist(), strict=True)
        return Rollout(
            inputs={
                "state": tokens(state, self._after(state, action)),
                "decision": tokens(decision, decision + 1),
                "phase": (torch.arange(length) % (1 + filler)).repeat(len(state), 1),
                "action": tokens(action, action),
            },
            mask=tokens(mask, mask & (action < self.walk.ending)),
            logp=tokens(logp, torch.zeros_like(logp)),
            responses=tuple(WalkPath(tuple(actions[:n]), u) for actions, n, u in taken),
            truncated=truncated & (not self.walk.dials.fixed_length),
            step=tokens(decision, decision),
        )


def _gumbel(rows: int, generator: torch.Generator) -> Iterator[Tensor]:
    """[rows, actions] Gumbel noise for one decision after another, for every row: rows never shift each other."""
    while True:
        uniform = torch.rand(DRAWN, rows, ACTIONS, generator=generator)
        yield from -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))


DRAWN = 16
"""Decisions whose noise is drawn at once; the numbers are those of one draw per decision."""


def _table(made: list[tuple[Tensor, Tensor, Tensor, Tensor]], rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """State, action, log-probability and whether one was made, [rows, D] each, from (row, state, action, logp) by decision.

    A walk that is over stays in its last state.
    """
    row, *columns = (torch.cat(x) for x in zip(*made, strict=True))
    number = torch.arange(len(made)).repeat_interleave(torch.tensor([len(left) for left, *_ in made]))
    place = row * len(made) + number
    state, action, logp = (x.new_zeros(rows * len(made)).index_copy(0, place, x).view(rows, len(made)) for x in columns)
    mask = torch.zeros(rows * len(made), dtype=torch.bool).index_fill(0, place, True).view(rows, len(made))
    last = state.gather(1, mask.sum(1, keepdim=True) - 1)
    return torch.where(mask, state, last), action, logp, mask
