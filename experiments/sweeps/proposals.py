"""How a sweep proposes trials: samplers and pruners by name, and settings as Optuna's parameters."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, PercentilePruner, WilcoxonPruner
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from experiments.sweeps.space import Dimension, SearchPlan

STARTUP_TRIALS = 8
"""Spread evenly over the range (Sobol) before TPE and GP have an opinion."""

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(
        seed=seed, n_startup_trials=STARTUP_TRIALS, n_ei_candidates=24, multivariate=True, group=False,
        constant_liar=True,
    ),
    "gp": lambda seed: GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, deterministic_objective=False),
    "qmc": lambda seed: QMCSampler(qmc_type="sobol", scramble=True, seed=seed),
    "grid-free": lambda seed: RandomSampler(seed=seed),
}  # fmt: skip
"""Everything that changes the result is spelt out: Optuna's defaults have moved between versions."""

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=5, n_warmup_steps=1, interval_steps=1, n_min_trials=1),
    "percentile": lambda: PercentilePruner(25.0, n_startup_trials=5, n_warmup_steps=1, interval_steps=1),
    "wilcoxon": lambda: WilcoxonPruner(p_threshold=0.1, n_startup_steps=3),
    "none": NopPruner,
}
"""After each seed; a step is a seed. All but wilcoxon see the running mean, wilcoxon the seed's own score."""


def distribution(dimension: Dimension) -> tuple[str, BaseDistribution]:
    """Name and distribution of an Optuna parameter."""
    if dimension.scale == "horizon":
        ends = 1 / (1 - dimension.low), 1 / (1 - dimension.high)
        return f"horizon of {dimension.field}", FloatDistribution(*ends, log=True)
    log = dimension.scale == "log"
    if dimension.integer:
        return dimension.field, IntDistribution(int(dimension.low), int(dimension.high), log=log)
    return dimension.field, FloatDistribution(dimension.low, dimension.high, log=log)


def values_of(params: dict[str, Any], space: Sequence[Dimension]) -> dict[str, float]:
    """Optuna's parameters as settings, cut to six digits, so that a spec stays readable."""
    values: dict[str, float] = {}
    for dimension in space:
        raw = params[distribution(dimension)[0]]
        plain = 1 - 1 / raw if dimension.scale == "horizon" else raw
        values[dimension.field] = int(plain) if dimension.integer else float(f"{plain:.6g}")
    return values


def propose(plan: SearchPlan, slot: int, history: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Parameters for a slot: a function of the plan, the slot and the other trials, in no way of who asks or when.

    The sampler starts afresh in a study in memory, seeded by plan and slot; QMC, blind to results, is wound forward.
    """
    sampler = "qmc" if plan.sampler in ("tpe", "gp") and slot < STARTUP_TRIALS else plan.sampler
    blind = sampler == "qmc"
    seed = plan.seed if blind else int(np.random.SeedSequence([plan.seed, slot]).generate_state(1)[0])
    with quiet():
        study = optuna.create_study(direction="maximize", sampler=SAMPLERS[sampler](seed))
        if blind:
            for _ in range(slot):
                study.ask(space_of(plan))
        else:
            study.add_trials(sorted(history, key=slot_of))
        return study.ask(space_of(plan)).params


def slot_of(trial: FrozenTrial) -> int:
    """Which of the plan's trials it is."""
    return int(trial.user_attrs["slot"])


def space_of(plan: SearchPlan) -> dict[str, BaseDistribution]:
    """The plan's settings as Optuna's parameters."""
    return dict(map(distribution, plan.space))


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's notes on studies created and features that are experimental."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
