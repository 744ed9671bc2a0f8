"""Copies of a critic fitted to values of fresh answers, for as long as that helps."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.probes.base import View
from vapo_core.seeds import torch_generator
from vapo_core.training.collect import grade_all
from vapo_core.types import Batch, Problem

FIRST = 8
"""RL steps' worth of answers in a part; a copy is first fitted on one, and a quarter of each is kept back."""

PROBLEMS = 1024
"""Training problems drawn for those answers, as far as the task has so many."""

ANSWERS, PATIENCE, PASSES = 32, 6, 100
"""Answers per optimiser step; passes in a row without improvement that end a fit, every other of which halves the rate;
most passes."""

IMPROVEMENT = 2e-4
"""Least fall of the squared error that counts as one, as a share of the variance of what is fitted."""


class Lessons(NamedTuple):
    """Values to fit. B responses, T tokens."""

    batch: Batch
    targets: Tensor
    """[B, T] value before each token, reward units; 0 where masked."""

    def take(self, rows: Tensor) -> "Lessons":
        """Some responses."""
        return Lessons(self.batch.take(rows), self.targets[rows])


def unmet(view: View) -> list[Problem]:
    """Training problems, none with the prompt of a held-out one."""
    rng, asked = np.random.default_rng(view.seed("approximation_floor/problems")), {p.prompt for p in view.held_out}
    sampled = view.world.task.sample(rng, PROBLEMS, "train")
    return [problem for problem in sampled if problem.prompt not in asked]


def lessons(view: View, problems: list[Problem], part: int) -> Lessons:
    """Fresh responses to problems, FIRST steps' worth, with a value at every token.

    Exact where the world knows; else the result of the response itself, an unbiased value of each of its prefixes: for one
    cost of sampling, many responses teach more than few places continued often.

    Args: part, of the draws; each has random numbers of its own.
    """
    number = FIRST * view.settings.responses_per_step
    asked = [problems[(part * number + i) % len(problems)] for i in range(number)]
    rollout = view.world.engine.generate(asked, 1, view.seed("approximation_floor/responses", part))
    row, time = (x.cpu().numpy() for x in rollout.mask.nonzero(as_tuple=True))
    value = view.world.exact_at(rollout, row, time)
    if value is None:
        value = np.array([grade.reward for grade in grade_all(view.world.task, asked, 1, rollout)])[row]
    targets = torch.zeros(rollout.mask.shape)
    low, high = view.settings.reward_low, view.settings.reward_high
    targets[row, time] = torch.from_numpy(low + (high - low) * value).float()
    return Lessons(Batch.ungraded(rollout), targets.to(rollout.mask.device))


def fit(critic: nn.Module, parts: Sequence[Lessons], rate: float, seed: int) -> nn.Module:
    """A copy of the critic fitted until PATIENCE passes bring no IMPROVEMENT on a quarter kept back; its best state.

    The critic itself is not touched, and what is kept back of a part stays so where further parts are joined to it.
    Args: rate, Adam's first.
    """
    fitted = copy.deepcopy(critic)
    optimizer = torch.optim.Adam(fitted.parameters(), lr=rate)
    generator = torch_generator(seed)
    orders = [torch.randperm(len(part.targets), generator=generator) for part in parts]
    kept_back, taught = (
        [part.take(order[rows]) for part, order in zip(parts, orders, strict=True)]
        for rows in (slice(len(orders[0]) // 4), slice(len(orders[0]) // 4, None))
    )
    least_fall = IMPROVEMENT * float(torch.cat([part.targets[part.batch.mask] for part in parts]).var())
    best, least, waited = copy.deepcopy(fitted.state_dict()), _error(fitted, kept_back), 0
    for _ in range(PASSES):
        for part in taught:
            for rows in torch.randperm(len(part.targets), generator=generator).split(ANSWERS):
                loss = _loss(fitted, part.take(rows))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        error = _error(fitted, kept_back)
        if error < least - least_fall:
            best, least, waited = copy.deepcopy(fitted.state_dict()), error, 0
            continue
        waited += 1
        optimizer.param_groups[0]["lr"] /= 1 if waited % 2 else 2
        if waited == PATIENCE:
            break
    fitted.load_state_dict(best)
    return fitted


def _loss(module: nn.Module, given: Lessons) -> Tensor:
    """Mean squared error over tokens."""
    return ((module(given.batch) - given.targets)[given.batch.mask] ** 2).mean()


@torch.no_grad()
def _error(module: nn.Module, parts: Sequence[Lessons]) -> float:
    """The same over all tokens of several parts."""
    tokens = [int(part.batch.mask.sum()) for part in parts]
    return float(np.average([float(_loss(module, part)) for part in parts], weights=tokens))
