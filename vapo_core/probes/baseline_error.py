"""Is the critic a better baseline than what costs no critic: the mean result of the other answers to the same prompt?

A policy gradient subtracts a baseline b at every token. At lambda = 1 the variance that b leaves at a place s is
Var(R | s) + (b - V(s))^2, whatever b is, so the mean of (b - V)^2 is the price of b in place of the true value.
"""

from functools import partial

import numpy as np

from vapo_core.oracles.intervals import jackknife, resolvable
from vapo_core.oracles.truth import Truth, position_variance, squared_error, value_variance
from vapo_core.probes.base import CannotRun, Measurement, View
from vapo_core.probes.value_error import SPLITS, Places, truth_of
from vapo_core.training.collect import grade_all

RESPONSES, PLACES = 256, 384
"""Answers of each split, one to a problem, and places in them on text; every token where values are exact."""

METRICS: dict[str, tuple[str, str]] = {
    **{
        f"baseline_error/{name}_{split}": ("share of Var(V)", f"{meaning}, {split.replace('_', '-')} problems")
        for split in SPLITS
        for name, meaning in (
            ("fvu", "critic's squared error to true V, noise taken out"),
            ("fvu_group_mean", "the same for the mean reward of G - 1 other answers, including its sampling noise"),
            ("fvu_prompt", "the same for the prompt's true value, the limit of that mean for many answers"),
            ("fvu_position", "the same for the best value that depends on position alone"),
            ("behind", "fvu - fvu_group_mean on the same places: above 0, the group mean is the better baseline"),
            ("behind_low", "lower end of its 95 % jackknife interval over prompts"),
            ("behind_high", "upper end of its 95 % jackknife interval over prompts"),
        )
    },
    **{
        f"baseline_error/{name}_q{q}": ("share of Var(V)", f"{meaning}, quarter {q} of held-out responses")
        for q in range(1, 5)
        for name, meaning in (("fvu", "critic's squared error"), ("fvu_group_mean", "the group mean's squared error"))
    },
}


def measure(view: View) -> Measurement:
    """FVU = E[(b - V)^2] / Var(V) of the critic and of baselines without one, on the same places.

    The group mean is that of `group_size - 1` further answers of the present policy to the prompt, one number for all
    tokens of an answer, as leave-one-out baselines and GRPO use it. Those answers are independent of the one that holds
    the place and of its continuations, hence E[(m - V_mc)^2] - s^2 / K is unbiased for the error of m as it is used, its
    noise included. Taking s_m^2 / (G - 1) off, too, leaves that of the prompt's own value, (V(s_0) - V)^2.
    A split whose Var(V) is not resolvable is left out.
    """
    found = {split: truth_of(view, split, "baseline_error", RESPONSES, PLACES) for split in SPLITS}
    clear = {split: x for split, x in found.items() if resolvable(x.truth, x.prompts)}
    if not clear:
        raise CannotRun("baseline_error: Var(V) is too near 0 to explain any of it")
    metrics: dict[str, float] = {}
    for split, places in clear.items():
        results = other_results(view, places, SPLITS.index(split))
        read = _of_split(places, results)
        metrics |= {f"baseline_error/{name}_{split}": x for name, x in read.items() if np.isfinite(x)}
        if split == "held_out":
            metrics |= _by_quarter(places.truth, _as(places.truth, results))
    return Measurement(metrics)


def other_results(view: View, places: Places, number: int) -> np.ndarray:
    """[N, G - 1] results of further answers to the prompt of every place, in verifier units; alike within an answer."""
    others = view.settings.group_size - 1
    if others < 2:
        raise CannotRun(
            "baseline_error: a group of fewer than three answers has no leave-one-out mean with a known noise"
        )
    rollout = view.world.engine.generate(places.problems, others, view.seed("baseline_error/others", number))
    grades = grade_all(view.world.task, places.problems, others, rollout)
    rewards = np.array([grade.reward for grade in grades], float)
    return rewards.reshape(len(places.problems), others)[places.truth.row]


def _as(truth: Truth, results: np.ndarray) -> Truth:
    """The same places with the mean of results in place of the critic."""
    return truth._replace(critic=results.mean(1))


def _of_split(places: Places, results: np.ndarray) -> dict[str, float]:
    truth, variance = places.truth, value_variance(places.truth)
    mean = _as(truth, results)
    own_noise = float(results.var(axis=1, ddof=1).mean()) / results.shape[1]
    found = {
        "fvu": squared_error(truth) / variance,
        "fvu_group_mean": squared_error(mean) / variance,
        "fvu_prompt": (squared_error(mean) - own_noise) / variance,
        "fvu_position": position_variance(truth) / variance,
    }
    found["behind"] = found["fvu"] - found["fvu_group_mean"]
    if len(np.unique(places.prompts)) > 1:
        _, found["behind_low"], found["behind_high"] = jackknife(partial(_behind, truth, mean), places.prompts)
    return found


def _behind(truth: Truth, mean: Truth, rows: np.ndarray) -> float:
    """Error of the critic minus that of the mean over some places, as a share of their Var(V)."""
    here, there = truth.where(rows), mean.where(rows)
    return (squared_error(here) - squared_error(there)) / value_variance(here)


def _by_quarter(truth: Truth, mean: Truth) -> dict[str, float]:
    """Both errors where in the response? All over the Var(V) of all places, so that quarters add up."""
    variance, found = value_variance(truth), {}
    for q in range(4):
        inside = truth.quarter == q
        if inside.any():
            found[f"baseline_error/fvu_q{q + 1}"] = squared_error(truth.where(inside)) / variance
            found[f"baseline_error/fvu_group_mean_q{q + 1}"] = squared_error(mean.where(inside)) / variance
    return found
