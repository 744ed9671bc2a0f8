"""How much of the critic's error is its network's? A copy of it fitted to true values shows what it could represent.

It costs what tens of RL steps cost, so it has an interval of its own.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from vapo_core.oracles.intervals import jackknife, resolvable
from vapo_core.oracles.monte_carlo import critic_at
from vapo_core.oracles.truth import Truth, squared_error, unexplained, value_variance
from vapo_core.probes.approximation_floor.fitting import FIRST, Lessons, fit, lessons, unmet
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.value_error import Places, truth_of

LARGEST = 64
"""The most answers that a copy is ever fitted on, in RL steps' worth."""

STILL = 0.02
"""Share of Var(V) that a doubling of the answers must take off the copy's error; the first one that does not is the last."""

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
        f"decrease at the last doubling of the answers; below {STILL}: converged",
    ),
    "approximation_floor/responses": ("answers", "on which the copy was finally fitted"),
    **{
        f"approximation_floor/{name}_q{q}": ("share of Var(V)", f"{meaning}, quarter {q} of held-out responses")
        for q in range(1, 5)
        for name, meaning in (("fvu", "the copy's squared error"), ("excess", "the critic's error minus the copy's"))
    },
}


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
