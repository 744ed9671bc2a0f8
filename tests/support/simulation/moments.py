"""Exact moments of gradient estimators against simulated responses, over random MDPs x critic errors x lambda rules.

`python -m tests.support.simulation.moments --mdps 50 --samples 100000 --out tests/soak/moments.csv` is part of
`make soak`. A cell is one MDP, error, rule and quantity: E g along grad J and along two random directions, and E|g|^2.
Every MDP and error draws responses of its own; the rules and quantities of one MDP and error share them, so their cells
are not independent (at one length the three rules that depend on it agree). Advantages are the trainer's own.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tests.support.tables import write_table
from vapo_core.functional.advantages import gae
from vapo_core.oracles.instances import Instance, InstanceDials, critic_with_error, reasoning_mdp
from vapo_core.oracles.responses import Responses, sampled
from vapo_core.oracles.tabular import Moments, TabularMDP, adaptive, by_length, constant_lambda, independent_lambda

ERRORS = (
    "none", "constant", "position", "state", "autocorrelated", "self_similar", "shrinkage", "late_notice", "fresh",
)  # fmt: skip
"""Kinds of critic error; fresh is drawn anew at every visit."""

SIZE = 0.2
"""Of every error: standard deviation, constant, or share."""

ALPHA = 0.5
CONSTANTS = (0.0, 0.5, 0.9, 0.95, 1.0)
RULES = (*map(str, CONSTANTS), "adaptive", "independent", "adaptive, sequence mean")
QUANTITIES = ("mean along grad J", "mean along random 1", "mean along random 2", "second moment")


class Cell(NamedTuple):
    """Where it stands, and how far the simulation fell from the exact number, in standard errors."""

    lengths: str
    error: str
    rule: str
    quantity: str
    z: float


def at(table: np.ndarray, sample: Responses) -> np.ndarray:
    """[T, N] entries of a table [T, S, A] at what was visited, 0 after the end."""
    times = np.arange(len(table))[:, None]
    return np.where(sample.mask, table[times, sample.states, sample.actions], 0.0)


def advantages(sample: Responses, critic: np.ndarray, lam: np.ndarray, noise: float, rng: np.random.Generator):
    """[T, N] the trainer's GAE under V_hat [T + 1, S], with lambda [N] by response and noise drawn at every visit."""
    mask = sample.mask
    values = critic[np.arange(len(mask))[:, None], sample.states] + noise * rng.normal(size=mask.shape)
    rewards = np.zeros(mask.shape)
    rewards[sample.length - 1, np.arange(len(sample.length))] = sample.reward
    found = gae(*(torch.from_numpy(x.T) for x in (rewards, values, mask)), torch.from_numpy(lam))
    return found.numpy().T


def rule_of(
    name: str, mdp: TabularMDP, critic: np.ndarray, noise: float, length: np.ndarray, rng: np.random.Generator
) -> tuple[Moments, np.ndarray, np.ndarray]:
    """(exact moments, lambda [N], weight [N]) of a rule for responses of these lengths."""
    horizon, ones = mdp.shape[0], np.ones(len(length))
    own = adaptive(ALPHA, horizon)
    if name == "adaptive":
        return by_length(mdp, critic, own, noise=noise), own[length], ones
    if name == "independent":
        other = rng.choice(horizon + 1, size=len(length), p=mdp.length_probabilities)
        return independent_lambda(mdp, critic, own, noise), own[other], ones
    if name == "adaptive, sequence mean":
        weight = np.concatenate([[0.0], 1 / np.arange(1, horizon + 1)])
        return by_length(mdp, critic, own, weight, noise), own[length], weight[length]
    return constant_lambda(mdp, critic, float(name), noise), float(name) * ones, ones


def scores(
    instance: Instance, error: str, number: int, rng: np.random.Generator, rules: Iterable[str] = RULES
) -> list[tuple[str, str, float]]:
    """(rule, quantity, z) of one MDP and error; a quantity that does not vary has no cell."""
    mdp, noise = instance.mdp, SIZE if error == "fresh" else 0.0
    critic = critic_with_error(instance, "none" if error == "fresh" else error, SIZE, rng)
    directions = [mdp.gradient, *rng.normal(size=(2, *mdp.shape))]
    directions = [d / np.linalg.norm(d) for d in directions]
    sample = sampled(mdp, number, rng)
    along = [at(d - (mdp.policy * d).sum(2, keepdims=True), sample) for d in directions]
    norms, found = at(mdp.score_norms, sample), list[tuple[str, str, float]]()
    for rule in rules:
        exact, lam, weight = rule_of(rule, mdp, critic, noise, sample.length, rng)
        credit = weight * advantages(sample, critic, lam, noise, rng)
        drawn = [*((credit * x).sum(0) for x in along), (credit**2 * norms).sum(0)]
        expected = [*(float((exact.mean * d).sum()) for d in directions), exact.square]
        for quantity, x, mean in zip(QUANTITIES, drawn, expected, strict=True):
            spread = x.std(ddof=1) / np.sqrt(number)
            if spread > 1e-12:
                found.append((rule, quantity, float((x.mean() - mean) / spread)))
    return found


def random_instance(number: int, rng: np.random.Generator) -> tuple[str, Instance]:
    """Even numbers have one length, odd ones lengths of their own."""
    dials = InstanceDials(
        horizon=int(rng.integers(4, 21)),
        branching=int(rng.integers(2, 5)),
        situations=int(rng.integers(2, 6)),
        stop=float(rng.uniform(0.05, 0.2)) if number % 2 else 0.0,
        filler=int(number % 5 == 4),
        notice=2,
    )
    return ("variable" if number % 2 else "fixed"), reasoning_mdp(dials, rng)


def all_cells(mdps: int, samples: int, seed: int, errors: Iterable[str] = ERRORS) -> list[Cell]:
    """Every cell; MDP number i and its responses come from the seeds (seed, i)."""
    cells, began, kinds = list[Cell](), time.monotonic(), tuple(errors)
    for number in range(mdps):
        rng = np.random.default_rng([seed, number])
        lengths, instance = random_instance(number, rng)
        for error in kinds:
            cells += [Cell(lengths, error, *one) for one in scores(instance, error, samples, rng)]
        if mdps >= 10:
            print(f"MDP {number + 1} of {mdps}, {time.monotonic() - began:.0f} s", flush=True)
    return cells


def grouped(cells: list[Cell]) -> list[dict[str, object]]:
    """One row for all, for each value of each axis, and for each crossing of lengths, error and rule."""
    axes = Cell._fields[:-1]
    groups: list[dict[str, str]] = [{}]
    groups += [{axis: value} for axis in axes for value in sorted({getattr(c, axis) for c in cells})]
    crossed = sorted({c[:3] for c in cells})
    groups += [dict(zip(axes[:3], values, strict=True)) for values in crossed]
    rows = []
    for group in groups:
        z = np.array([c.z for c in cells if all(getattr(c, axis) == value for axis, value in group.items())])
        covered = int((np.abs(z) < 1.96).sum())
        row = {axis: group.get(axis, "all") for axis in axes} | {"cells": len(z), "covered": covered}
        rows.append(row | {"coverage": round(covered / len(z), 4), "largest_z": round(float(np.abs(z).max()), 2)})
    return rows


def main() -> int:
    """Simulate, write the table; exit code 1 if coverage leaves 93 .. 97 % or a cell lies beyond 5 standard errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mdps", type=int, default=50)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    rows = grouped(all_cells(words.mdps, words.samples, words.seed))
    told = {"mdps": words.mdps, "samples": words.samples, "seed": words.seed}
    if words.out:
        write_table([row | told for row in rows], words.out)
    whole = rows[0]
    print(f"{whole['cells']} cells, {100 * whole['coverage']:.1f} % covered, largest |z| {whole['largest_z']}")
    return 0 if 0.93 <= whole["coverage"] <= 0.97 and whole["largest_z"] < 5 else 1


if __name__ == "__main__":
    raise SystemExit(main())
