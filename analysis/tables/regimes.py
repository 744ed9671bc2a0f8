"""The regimes in which components are judged: how long answers are, how noisy a step is, and where the critic starts.

The only place that names them. Studies take their runs from here, and judges find the rows again by the same dials and
settings. Length is made of decisions, not of filler: at a filler token delta is 0, so filler is a relabelling of lambda
(METHODS.md R4). Every length starts from about the same J, so that length is not a matter of difficulty. Noise is responses a
step; runs of preset full measure the gradient's noise scale beside it. A regime in which PPO alone fails
would join `FAILING`, to be shown beside the grid and never averaged into it.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any, Literal, NamedTuple

import pandas as pd

from analysis.tables.rows import having


class Length(NamedTuple):
    """A length of answers: the task's dials that make it."""

    tokens: int
    """About the mean response over a run of full VAPO, tokens; on the walk each is a decision."""
    task: str
    dials: Mapping[str, Any]
    base_j: float
    """Score before the first step, on development seeds."""


class Regime(NamedTuple):
    """One cell of the grid, or a regime found by search."""

    name: str
    world: Literal["walk", "lm"]
    length: Length
    settings: Mapping[str, Any]
    """In place of the world's own."""
    declared: bool = True
    """Whether it belongs to the grid over which headline estimates average."""


WALKS: tuple[Length, ...] = (
    Length(8, "walk", {"size": 16, "horizon": 32, "skill": 0.8}, 0.11),
    Length(32, "walk", {"size": 16, "sparsity": 2, "horizon": 80, "skill": 1.2, "trap_prior": -1.5}, 0.11),
    Length(128, "walk", {"size": 20, "sparsity": 8, "horizon": 256, "skill": 1.5, "trap_prior": -2.5}, 0.11),
)
"""Decisions: a ring of 16 cells; past two waypoints; past eight waypoints on a ring of 20."""

RESPONSES: dict[int, Mapping[str, Any]] = {
    number: {"responses_per_step": number, "group_size": 8, "mini_batches": 2, "epochs": 4} for number in (32, 128)
}
"""Responses a step -> settings. Eight optimiser steps on a batch, so that both clips act: with four the wider clip differs on 3
tokens in 10,000, with sixteen on 1 in 100 (seed 700, 32 decisions), and the floor of clip_higher is 1 in 1,000."""

STARTS: tuple[str, ...] = ("backbone", "outcome")
"""Of the critic: a new head, or one fitted to complete answers as a reward model is (`critic_start`)."""


def _grid() -> tuple[Regime, ...]:
    return tuple(
        Regime(
            f"{length.tokens} decisions, {number} responses, {start} critic", "walk", length,
            {**RESPONSES[number], "critic_start": start},
        )
        for length, number, start in product(WALKS, RESPONSES, STARTS)
    )  # fmt: skip


GRID: tuple[Regime, ...] = _grid()
"""3 lengths x 2 noise levels x 2 critic starts."""

NOISY: tuple[Regime, ...] = tuple(
    regime
    for regime in GRID
    if regime.settings["responses_per_step"] == 32 and regime.settings["critic_start"] == "outcome"
)
"""One regime per length: the few responses at which arms spread, and the start from which PPO is said to fail."""

FAILING: tuple[Regime, ...] = ()
"""Regimes in which PPO alone fails, as results/regimes says. None: of 72 that were searched three failed on the search's four
seeds, and none of the three on sixteen others."""

TEXTS: tuple[Length, ...] = (
    Length(15, "chain", {"shortest": 4, "longest": 6, "farthest": 6, "skew": 0.0, "noise": 0.5, "glimpse": 0.0}, 0.37),
    Length(
        50, "chain", {"shortest": 14, "longest": 18, "farthest": 18, "skew": 0.0, "noise": 0.12, "glimpse": 0.0}, 0.34
    ),
)
"""Tokens: chains of about 5 and 16 steps; demonstrations are the less careless the longer the chain, so that J starts alike. With
64 responses a step and the usual rate full VAPO fell from 0.34 to 0 on the longer one (seed 700); hence more responses and a
quarter of the rate. Chains of 38 steps, about 120 tokens, were tried and left out: a base model takes seven minutes of a core
to pretrain and is right once in a hundred, and a run takes over three minutes, 17 core-hours for what stands here."""

TEXT: tuple[Regime, ...] = tuple(
    Regime(
        f"{length.tokens} tokens, 128 responses, outcome critic", "lm", length,
        {"responses_per_step": 128, "group_size": 8, "critic_start": "outcome", "policy_lr": 1e-4},
    )
    for length in TEXTS
)  # fmt: skip


def rows(runs: pd.DataFrame, regime: Regime) -> pd.DataFrame:
    """The rows of runs.csv of a regime, every arm, in their order; runs with random rewards, a control, are
    no arms of it unless its dials ask for them."""
    dials = {f"dials.{name}": value for name, value in regime.length.dials.items()}
    settings = {f"settings.{name}": value for name, value in regime.settings.items()}
    plain = {"dials.random_reward": 0.0} if regime.world == "walk" and "dials.random_reward" in runs else {}
    return having(runs, {"world": regime.world, "task": regime.length.task, **plain, **dials, **settings})


def of_length(tokens: int) -> tuple[Regime, ...]:
    """Regimes of the walk's grid with this length."""
    return tuple(regime for regime in GRID if regime.length.tokens == tokens)


LONGEST: int = max(length.tokens for length in WALKS)
SHORTEST: int = min(length.tokens for length in WALKS)
"""Lengths of the walk's grid at which factorials are run."""
