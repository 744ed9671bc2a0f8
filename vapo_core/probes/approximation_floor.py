"""How much of the critic's error is its network's? A copy of it fitted to true values shows what it could represent.

It costs what several RL steps cost, so it has an interval of its own.
"""

import copy
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.oracles.intervals import jackknife, resolvable
from vapo_core.oracles.monte_carlo import critic_at
from vapo_core.oracles.truth import Truth, squared_error, unexplained, value_variance
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.value_error import SPLITS, truth_of
from vapo_core.seeds import torch_generator
from vapo_core.training.collect import grade_all
from vapo_core.types import Batch

BATCHES = 8
"""Answers that the copy is fitted on, in RL steps' worth, half of them to held-out and half to training problems; a quarter
of them is kept back."""

ANSWERS, PATIENCE, PASSES = 32, 6, 100
"""Answers per optimiser step; passes in a row without improvement that end the fit, every other of which halves the rate;
most passes."""

IMPROVEMENT = 2e-4
"""Least fall of the squared error that counts as one, as a share of the variance of what is fitted."""

SCORED, PLACES = 256, 384
"""Answers of each split that the floor is read on, and places in them on text."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"approximation_floor/{name}_{split}": ("share of Var(V)", f"{meaning}, {split.replace('_', '-')} problems")
        for split in SPLITS
        for name, meaning in (
            ("fvu", "squared error of a copy of the critic fitted to true values, noise taken out"),
            ("excess", "the critic's FVU minus that floor, on the same places"),
            ("excess_low", "lower end of its 95 % jackknife interval over prompts"),
            ("excess_high", "upper end of its 95 % jackknife interval over prompts"),
        )
    },
    **{
        f"approximation_floor/{name}_q{q}": ("share of Var(V)", f"{meaning}, quarter {q} of held-out responses")
        for q in range(1, 5)
        for name, meaning in (("fvu", "the copy's squared error"), ("excess", "the critic's error minus the copy's"))
    },
}


class Lessons(NamedTuple):
    """Values to fit. B responses, T tokens."""

    batch: Batch
    targets: Tensor
    """[B, T] value before each token, reward units; 0 where masked."""

    def take(self, rows: Tensor) -> "Lessons":
        """Some responses."""
        return Lessons(self.batch.take(rows), self.targets[rows])


def measure(view: View) -> Measurement:
    """FVU of a fitted copy, and what the run's critic has above it on the same places, the excess.

    The copy learns from other responses to the same problems, held-out ones among them: the floor is what the network
    cannot represent, and what unseen problems cost belongs to the excess. On text the fit is to a finite number of noisy
    results, so the floor is an upper bound and the excess a lower one.
    """
    scored = {split: truth_of(view, split, "approximation_floor/scored", SCORED, PLACES) for split in SPLITS}
    clear = {split: x for split, x in scored.items() if resolvable(x.truth, x.prompts)}
    if not clear:
        raise CannotRun("approximation_floor: Var(V) is too near 0 to explain any of it")
    fitted = fit(view.world.critic, lessons(view), view.settings.critic_lr, view.seed("approximation_floor/fit"))
    metrics: dict[str, float] = {}
    for split, (truth, prompts, rollout) in clear.items():
        copied = truth._replace(critic=critic_at(fitted, rollout, truth.row, truth.time, view.settings))
        found = {"fvu": unexplained(copied), "excess": unexplained(truth) - unexplained(copied)}
        if len(np.unique(prompts)) > 1:
            _, found["excess_low"], found["excess_high"] = jackknife(partial(_excess, truth, copied), prompts)
        metrics |= {f"approximation_floor/{name}_{split}": x for name, x in found.items()}
        if split == "held_out":
            metrics |= _by_quarter(truth, copied)
    return Measurement(metrics)


def _by_quarter(truth: Truth, copied: Truth) -> dict[str, float]:
    """Floor and excess where in the response? All over the Var(V) of all places, so that quarters add up."""
    variance, found = value_variance(truth), {}
    for q in range(4):
        inside = truth.quarter == q
        if inside.any():
            floor = squared_error(copied.where(inside)) / variance
            found[f"approximation_floor/fvu_q{q + 1}"] = floor
            found[f"approximation_floor/excess_q{q + 1}"] = squared_error(truth.where(inside)) / variance - floor
    return found


def _excess(truth: Truth, copied: Truth, rows: np.ndarray) -> float:
    """FVU of the critic minus that of the copy over some places."""
    return unexplained(truth.where(rows)) - unexplained(copied.where(rows))


def lessons(view: View) -> Lessons:
    """Fresh responses to problems of both splits with a value at every token.

    Exact where the world knows; else the result of the response itself, an unbiased value of each of its prefixes: for one
    cost of sampling, many responses teach more than few places continued often.
    """
    number = BATCHES * view.settings.responses_per_step
    asked = [split[i % len(split)] for i in range(number // 2) for split in (view.held_out, view.pool)]
    rollout = view.world.engine.generate(asked, 1, view.seed("approximation_floor/responses"))
    row, time = (x.cpu().numpy() for x in rollout.mask.nonzero(as_tuple=True))
    value = view.world.exact_at(rollout, row, time)
    if value is None:
        value = np.array([grade.reward for grade in grade_all(view.world.task, asked, 1, rollout)])[row]
    targets = torch.zeros(rollout.mask.shape)
    low, high = view.settings.reward_low, view.settings.reward_high
    targets[row, time] = torch.from_numpy(low + (high - low) * value).float()
    return Lessons(Batch.ungraded(rollout), targets.to(rollout.mask.device))


def fit(critic: nn.Module, given: Lessons, rate: float, seed: int) -> nn.Module:
    """A copy of the critic fitted until PATIENCE passes bring no IMPROVEMENT on a quarter kept back; its best state.

    The critic itself is not touched. Args: rate, Adam's first.
    """
    fitted = copy.deepcopy(critic)
    optimizer = torch.optim.Adam(fitted.parameters(), lr=rate)
    generator, size = torch_generator(seed), len(given.targets)
    order = torch.randperm(size, generator=generator)
    taught, kept_back = order[size // 4 :], given.take(order[: size // 4])
    least_fall = IMPROVEMENT * float(given.targets[given.batch.mask].var())
    best, least, waited = copy.deepcopy(fitted.state_dict()), _error(fitted, kept_back), 0
    for _ in range(PASSES):
        for rows in taught[torch.randperm(len(taught), generator=generator)].split(ANSWERS):
            loss = _loss(fitted, given.take(rows))
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
def _error(module: nn.Module, given: Lessons) -> float:
    return float(_loss(module, given))
