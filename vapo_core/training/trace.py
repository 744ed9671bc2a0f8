"""Where credit goes, token by token: sampled responses as columns, one row per token.

Shapes: B responses, T tokens, N = all valid tokens, response after response.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vapo_core.components import length_adaptive_gae
from vapo_core.functional.advantages import gae
from vapo_core.oracles.monte_carlo import values_at
from vapo_core.recipe import Recipe, Settings
from vapo_core.seeds import child
from vapo_core.slots.credit import terminal_rewards
from vapo_core.slots.whiten import unwhitened
from vapo_core.training.collect import grade_all, reward_values, to_batch
from vapo_core.training.update import assign_credit
from vapo_core.types import Batch, Problem, Rollout
from vapo_core.worlds.base import World

Columns = dict[str, np.ndarray]

CONTINUATIONS = 16
"""Fresh continuations per prefix where true values are Monte-Carlo means."""


def _constant(lam: float, settings: Settings) -> length_adaptive_gae.Slot:
    """The same lambda for every length."""
    return lambda lengths: torch.full((len(lengths),), lam, device=lengths.device)


LAMBDA_RULES: Mapping[str, Callable[[Settings], length_adaptive_gae.Slot]] = {
    "adaptive": length_adaptive_gae.on,
    "0": partial(_constant, 0.0),
    "0.95": partial(_constant, 0.95),
    "1": partial(_constant, 1.0),
}
"""Rules every trace compares the recipe's own with: column `advantage_<name>` has GAE under that lambda."""


def trace(
    world: World, recipe: Recipe, settings: Settings, problems: Sequence[Problem], answers: int, truths: int, seed: int
) -> Columns:
    """Sample responses and lay out everything that is known about each of their tokens.

    Reads only: weights and global random state stay as they were.

    Args:
        world: policy, critic, engine and task; see `LAMBDA_RULES` for the rules compared.
        recipe: supplies values, credit rule and lambda of `advantage_own`.
        settings: reward values, and alpha of the adaptive rule.
        problems: P problems.
        answers: G, responses per problem; B = P G.
        truths: responses whose true values are asked for, first answers first: exact in the walk, Monte-Carlo on text.
        seed: draws responses and continuations.

    Returns:
        Columns of length N. Of a response: `response`, `problem` (numbers from 0), `prompt`, `reward` (in the units of
        `reward_low` .. `reward_high`, shaping included), `correct`, `truncated`, `length` (tokens). Of a token:
        `position` (from 0), `step`, `text`, `state`, `logp` and `entropy` (nats); the rest in reward units: `value`
        (before the token; 0 without a critic), `truth` (expected verifier reward before it) and `truth_se` (0 where
        exact, or where all continuations agreed), `td_error`, `true_td_error` (with `truth` for V and no shaping: the
        token's true advantage where transitions are sure), `advantage_own` (the recipe's rule before whitening; in
        standard deviations of the group under group-relative credit) and `advantage_<rule>`. NaN where not known.

    Raises:
        Diverged: if a value is not finite.
        ValueError: for one answer per problem under group-relative credit.
    """
    world.engine.sync()
    asked = [problem for problem in problems for _ in range(answers)]
    rollout = world.engine.generate(problems, answers, child(seed, 0))
    grades = grade_all(world.task, problems, answers, rollout)
    verified = reward_values(grades, settings)
    shaping = recipe.shape_reward(rollout.mask.sum(1).cpu(), world.task.max_tokens)
    batch = to_batch(rollout, grades, answers, verified + shaping)
    with torch.no_grad():
        entropy = world.policy(batch)[1]
        values = recipe.values(world, batch, asked, settings, child(seed, 1)).values
    truth, truth_se = true_values(
        world, asked, rollout, _spread(len(asked), answers)[:truths], settings, child(seed, 2)
    )
    unshaped = terminal_rewards(replace(batch, rewards=verified))
    by_token = {
        "step": batch.step,
        "logp": batch.logp_old,
        "entropy": entropy,
        "truth": truth,
        "truth_se": truth_se,
        "true_td_error": td_errors(unshaped.cpu(), truth, batch.mask.cpu()),
        **credit_columns(batch, values, recipe, settings),
    }
    return {
        **_response_columns(batch, asked, answers, rollout),
        **_words(world, rollout),
        **{name: x.cpu()[batch.mask.cpu()].numpy() for name, x in by_token.items()},
    }


def credit_columns(batch: Batch, values: Tensor, recipe: Recipe, settings: Settings) -> dict[str, Tensor]:
    """Value, TD error and the advantage under every rule, unwhitened; all [B, T], 0 where masked.

    Args:
        batch: B graded responses, each row's valid tokens first.
        values: [B, T] value before each token, reward units.
        recipe: its own lambda and credit rule give `advantage_own`.
        settings: alpha of the adaptive rule.
    """
    rewards, lengths = terminal_rewards(batch), batch.lengths
    own = assign_credit(batch, values, replace(recipe, whiten=unwhitened)).advantages
    ruled = {name: gae(rewards, values, batch.mask, rule(settings)(lengths)) for name, rule in LAMBDA_RULES.items()}
    return {
        "value": values.where(batch.mask, 0.0),
        "td_error": td_errors(rewards, values, batch.mask),
        "advantage_own": own,
        **{f"advantage_{name}": x for name, x in ruled.items()},
    }


def td_errors(rewards: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """delta_t = r_t + V_{t+1} - V_t, V = 0 after the last token (arXiv:1506.02438, eq. 9, gamma 1).

    All [B, T]; each row's valid tokens stand first. A value that is NaN spoils only the two errors it is part of. 0 where
    masked.
    """
    known = values.where(mask, 0.0)
    following = torch.nn.functional.pad(known[:, 1:], (0, 1))
    return (rewards + following - known).where(mask, 0.0)


def true_values(
    world: World, problems: Sequence[Problem], rollout: Rollout, rows: Sequence[int], settings: Settings, seed: int
) -> tuple[Tensor, Tensor]:
    """True values before every token of some responses, and their standard errors; both [B, T] in reward units.

    NaN in all other places. Exact with error 0 in the walk, else the mean of `CONTINUATIONS` fresh continuations.

    Args:
        problems: one per response.
        rows: the responses to ask the world's oracle about.
    """
    chosen = torch.zeros_like(rollout.mask)
    chosen[list(rows)] = rollout.mask[list(rows)]
    row, time = (x.cpu().numpy() for x in chosen.nonzero(as_tuple=True))
    value, variance = values_at(world, rollout, problems, row, time, CONTINUATIONS, seed)
    span = settings.reward_high - settings.reward_low
    truth, error = torch.full((2, *rollout.mask.shape), torch.nan)
    truth[row, time] = torch.from_numpy(settings.reward_low + span * value).to(truth)
    error[row, time] = torch.from_numpy(span * np.sqrt(variance)).to(error)
    return truth, error


def _spread(responses: int, answers: int) -> list[int]:
    """Rows with every problem's first answer first, then the second ones."""
    return sorted(range(responses), key=lambda row: (row % answers, row))


def _response_columns(batch: Batch, problems: Sequence[Problem], answers: int, rollout: Rollout) -> Columns:
    """What all tokens of a response share, and each token's place in it."""
    lengths = batch.lengths.cpu().numpy()
    number = np.arange(len(lengths))
    each = {
        "response": number,
        "problem": number // answers,
        "prompt": np.array([problem.prompt for problem in problems], dtype=object),
        "reward": batch.rewards.numpy(),
        "correct": batch.correct.numpy(),
        "truncated": rollout.truncated.cpu().numpy(),
        "length": lengths,
    }
    position = np.concatenate([np.arange(length) for length in lengths])
    return {**{name: x.repeat(lengths) for name, x in each.items()}, "position": position}


def _words(world: World, rollout: Rollout) -> Columns:
    """`text` and `state` of every token."""
    tokens = [token for response in world.describe(rollout) for token in response]
    return {
        "text": np.array([token.text for token in tokens], dtype=object),
        "state": np.array([token.state for token in tokens], dtype=object),
    }
