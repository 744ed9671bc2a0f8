"""How much of the critic's error is its network's? A copy of it fitted to true values shows what it could represent.

It costs what tens of RL steps cost, so it has an interval of its own.
"""

import copy
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vapo_core.oracles.intervals import jackknife, resolvable
from vapo_core.oracles.monte_carlo import critic_at
from vapo_core.oracles.truth import Truth, squared_error, unexplained, value_variance
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.value_error import Places, truth_of
from vapo_core.seeds import torch_generator
from vapo_core.training.collect import grade_all
from vapo_core.types import Batch, Problem

FIRST, LARGEST = 8, 64
"""Answers that the copy is first fitted on, and the most it ever is, in RL steps' worth; a quarter of them is kept back."""

STILL = 0.02
"""Share of Var(V) that a doubling of the answers must take off the copy's error; the first one that does not is the last."""

PROBLEMS = 1024
"""Training problems drawn for those answers, as far as the task has so many."""

ANSWERS, PATIENCE, PASSES = 32, 6, 100
"""Answers per optimiser step; passes in a row without improvement that end a fit, every other of which halves the rate;
most passes."""

IMPROVEMENT = 2e-4
"""Least fall of the squared error that counts as one, as a share of the variance of what is fitted."""

SCORED, PLACES = 256, 384
"""Held-out answers that the floor is read on, and places in them on text."""

METRICS: dict[str, tuple[str, str]] = {
    "approximation_floor/fvu_held_out": (
        "share of Var(V)",
        "squared error of a copy fitted to values, noise taken out",
    ),
    "approximation_floor/excess_held_out": ("share of Var(V)", "the critic's FVU minus that floor, on the same places"),
    "approximation_floor/excess_low_held_out": (
        "share of Var(V)",
        "lower end of its 95 % jackknife interval over prompts",
    ),
    "approximation_floor/excess_high_held_out": (
        "share of Var(V)",
        "upper end of its 95 % jackknife interval over prompts",
    ),
    "approximation_floor/fall": (
        "share of Var(V)",
        f"what the last doubling of answers took off; below {STILL}: settled",
    ),
    "approximation_floor/responses": ("answers", "that the copy was fitted on in the end"),
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


class Floor(NamedTuple):
    """What a fitted copy leaves."""

    copied: Truth
    """The scored places with the copy's values in place of the critic's."""
    fall: float
    """Share of Var(V) that the last doubling of answers took off; nan if there was none."""
    responses: int
    """Answers the copy was fitted on."""


def measure(view: View) -> Measurement:
    """FVU of a fitted copy on held-out problems, and what the run's critic has above it on the same places, the excess.

    The copy learns from answers to training problems drawn for it, and is scored on others, to other prompts: the floor is
    what this network can tell of problems it has not met, however many results it is given. Their number doubles until a
    doubling lowers the copy's FVU by less than STILL, or LARGEST is reached; `fall` says which, and the last copy counts,
    not the best. On text results are noisy, so a finite number of them leaves the floor an upper bound and the excess a
    lower one.
    """
    scored = truth_of(view, "held_out", "approximation_floor/scored", SCORED, PLACES)
    if not resolvable(scored.truth, scored.prompts):
        raise CannotRun("approximation_floor: Var(V) is too near 0 to explain any of it")
    truth, (copied, fall, responses) = scored.truth, settled(view, scored)
    found = {"fvu_held_out": unexplained(copied), "excess_held_out": unexplained(truth) - unexplained(copied)}
    if len(np.unique(scored.prompts)) > 1:
        interval = jackknife(partial(_excess, truth, copied), scored.prompts)
        found |= {"excess_low_held_out": interval.low, "excess_high_held_out": interval.high}
    found |= {"responses": float(responses), **({} if np.isnan(fall) else {"fall": fall})}
    return Measurement({f"approximation_floor/{name}": x for name, x in found.items()} | _by_quarter(truth, copied))


def settled(view: View, scored: Places) -> Floor:
    """The copy's error where more answers no longer lower it; each fit goes on from the one before, with as many new ones."""
    problems, fitted, parts = unmet(view), view.world.critic, list[Lessons]()
    left, fall = float("nan"), float("nan")
    while len(parts) < LARGEST // FIRST:
        parts += [lessons(view, problems, len(parts) + more) for more in range(max(1, len(parts)))]
        fitted = fit(fitted, parts, view.settings.critic_lr, view.seed("approximation_floor/fit"))
        values = critic_at(fitted, scored.rollout, scored.truth.row, scored.truth.time, view.settings)
        copied = scored.truth._replace(critic=values)
        fall, left = left - unexplained(copied), unexplained(copied)
        if fall < STILL:
            break
    return Floor(copied, fall, sum(len(part.targets) for part in parts))


def unmet(view: View) -> list[Problem]:
    """Training problems, none with the prompt of a held-out one."""
    rng, asked = np.random.default_rng(view.seed("approximation_floor/problems")), {p.prompt for p in view.held_out}
    drawn = view.world.task.sample(rng, PROBLEMS, "train")
    return [problem for problem in drawn if problem.prompt not in asked]


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
