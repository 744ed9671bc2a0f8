"""Monte-Carlo values: the mean result of K fresh continuations of a prefix under the present policy (VinePPO's protocol).

Shapes: N prefixes, K continuations.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vapo_core.oracles.truth import within_group_variance
from vapo_core.seeds import child
from vapo_core.types import Batch, Problem, Rollout


class Prefixes(NamedTuple):
    """Places in sampled responses whose value is asked for."""

    row: np.ndarray
    """[N] response each prefix is cut from."""
    time: np.ndarray
    """[N] number of response tokens the prefix keeps, so V stands before token `time`."""
    returns: np.ndarray
    """[N, K] results of its continuations, in verifier units."""
    critic: np.ndarray
    """[N] the critic's value at the same place."""


def pick_prefixes(mask: torch.Tensor, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(row, time) of `number` valid tokens drawn without replacement from [B, T]; all of them if there are fewer."""
    rows, times = mask.cpu().numpy().nonzero()
    chosen = np.sort(rng.permutation(len(rows))[:number])
    return rows[chosen], times[chosen]


def text_values(
    world: Any, problems: Sequence[Problem], rollout: Rollout, number: int, continuations: int, seed: int
) -> Prefixes:
    """Values of prefixes of sampled texts, with the critic's beside them.

    Args:
        world: a language world; reads only.
        problems: one per response of the rollout.
        rollout: B responses sampled from the present policy.
        number: N, prefixes to draw uniformly over response tokens.
        continuations: K, fresh samples per prefix.
        seed: draws prefixes and continuations.
    """
    row, time = pick_prefixes(rollout.mask, number, np.random.default_rng(child(seed, 0)))
    with torch.no_grad():
        critic = world.critic(Batch.ungraded(rollout)).cpu().numpy()[row, time]
    returns, _ = continue_all(world, rollout.inputs, rollout.mask.shape[1], problems, row, time, continuations, seed)
    return Prefixes(row, time, returns, critic)


def step_start_values(
    world: Any, batch: Batch, problems: Sequence[Problem], continuations: int, seed: int
) -> tuple[Tensor, int]:
    """[B, T] Monte-Carlo value of the start of each token's step, 0 where masked, and the tokens it took.

    Equal prefixes are continued once each time they occur: samples for different responses stay independent.
    """
    first = batch.mask & (torch.nn.functional.pad(batch.step[:, :-1], (1, 0), value=-1) != batch.step)
    row, time = (x.cpu().numpy() for x in first.nonzero(as_tuple=True))
    tokens = batch.mask.shape[1]
    returns, spent = continue_all(world, batch.inputs, tokens, problems, row, time, continuations, seed)
    starts = torch.zeros(batch.mask.shape, dtype=batch.logp_old.dtype)
    starts[row, time] = torch.from_numpy(returns.mean(1)).to(starts)
    held = torch.cummax(
        torch.where(first.cpu(), torch.arange(tokens), 0), dim=1
    ).values  # where each token's step began
    return starts.gather(1, held).to(batch.mask.device).where(batch.mask, 0.0), spent


def continue_all(
    world: Any,
    inputs: Mapping[str, Tensor],
    tokens: int,
    problems: Sequence[Problem],
    row: np.ndarray,
    time: np.ndarray,
    continuations: int,
    seed: int,
) -> tuple[np.ndarray, int]:
    """[N, K] results of continuing the first `time` tokens of responses `row`, and the tokens sampled."""
    returns, spent = np.zeros((len(row), continuations)), 0
    for start in np.unique(time):  # prefixes of one length need no padding and share one limit
        here = np.flatnonzero(time == start)
        found, cost = _continue(
            world, inputs, tokens, problems, row[here], int(start), continuations, child(seed, 1, int(start))
        )
        returns[here], spent = found, spent + cost
    return returns, spent


def _continue(
    world: Any,
    inputs: Mapping[str, Tensor],
    tokens: int,
    problems: Sequence[Problem],
    rows: np.ndarray,
    start: int,
    continuations: int,
    seed: int,
) -> tuple[np.ndarray, int]:
    """[len(rows), K] results of continuing responses after their first `start` tokens, and the tokens sampled."""
    ids, attention = inputs["ids"], inputs["attention"]
    cut = ids.shape[1] - tokens + start
    heads = [ids[r, :cut][attention[r, :cut].bool()].tolist() for r in rows for _ in range(continuations)]
    rest = world.engine.complete(heads, world.task.max_tokens - start, seed)
    written = world.tokenizer.batch_decode(
        [ids[r, cut - start : cut].tolist() for r in rows],
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    graded = [
        world.task.verify(problems[rows[i // continuations]], written[i // continuations] + text).reward
        for i, text in enumerate(rest.responses)
    ]
    return np.array(graded).reshape(len(rows), continuations), int(rest.mask.sum())


def value_mse(critic: np.ndarray, returns: np.ndarray) -> float:
    """Unbiased E[(V_hat - V)^2] from K returns per prefix: mean of (V_hat - V_mc)^2 - s^2 / K.

    s^2 is the sample variance of the K returns, so it holds for any reward values. Single prefixes are not cut at 0.

    Args:
        critic: [N] values in the units of the returns. returns: [N, K], K at least 2.
    """
    k = returns.shape[1]
    return float(np.mean((critic - returns.mean(1)) ** 2 - returns.var(axis=1, ddof=1) / k))


def best_constant_mse(returns: np.ndarray) -> float:
    """What the best single number leaves unexplained: Var(V) over prefixes, debiased."""
    return best_by_group_mse(returns, np.zeros(len(returns), int))


def best_by_group_mse(returns: np.ndarray, group: np.ndarray) -> float:
    """Unbiased mean within-group variance of V: what the best critic that sees only `group` leaves unexplained.

    With the group a position, this is the best position-only critic. Groups with one prefix carry no information on
    it and are left out.
    """
    noise = returns.var(axis=1, ddof=1) / returns.shape[1]
    return within_group_variance(returns.mean(1), noise, group)
