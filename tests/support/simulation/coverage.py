"""Do intervals hold the truth as often as they state? Simulated on data like the study's: bounded, skewed, few seeds.

`python -m tests.support.simulation.coverage --repetitions 2000 --out tests/soak/coverage.csv` is part of `make soak`.
Every case draws data whose truth is known exactly, asks for the interval, and counts.
"""

import argparse
import itertools
import math
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tests.support.simulation.coverage_draws import (
    ARMS,
    SCORES,
    STATISTICS,
    Draw,
    better_of,
    bootstrap_of_a_mean,
    bootstrapped,
    change_of_j,
    difference_of_arms,
    dose_of_even_odds,
    exponents,
    jackknifed,
    mean_of_seeds,
    recommended,
    scale_of_noise,
    shift_of_d50,
)
from tests.support.tables import write_table

ONE_OF_SIXTEEN = 1 - 0.05 / 16


class Case(NamedTuple):
    """What is asked how often."""

    interval: str
    data: str
    units: int
    """Seeds, prompts or responses, whichever the interval counts."""
    stated: float
    draw: Draw


def of_seeds() -> list[Case]:
    """What tables and figures show."""
    found = []
    for seeds, level in itertools.product((5, 10, 20), (0.95, ONE_OF_SIXTEEN)):
        found += [Case("student", d, seeds, level, partial(mean_of_seeds, d, seeds, level)) for d in SCORES]
        found += [Case("paired", d, seeds, level, partial(difference_of_arms, d, seeds, level)) for d in ARMS]
    return found


def of_models() -> list[Case]:
    """What judges use beside Student's: arms compared run by run, doses, censored times."""
    found = [
        Case("probability of improvement", f"normal, {by:g} sd apart", n, 0.95, partial(better_of, by, n))
        for n, by in itertools.product((10, 32), (0.0, 1.0, 3.0))
    ]
    for slope in (1.0, 2.0, 20.0):
        found.append(Case("d50", f"slope {slope:g} per dose", 32, 0.95, partial(dose_of_even_odds, slope, 32)))
    for slope, spread in ((2.0, 0.0), (2.0, 1.0)):
        data, draw = f"slope {slope:g} per dose, sd {spread:g} of seeds", partial(shift_of_d50, slope, spread, 32)
        found.append(Case("shift of d50 over seeds", data, 32, 0.95, draw))
    for seeds, end in itertools.product((12, 32), (math.inf, 800.0)):
        data = "all times seen" if end == math.inf else "two in ten runs cut off"
        found.append(Case("difference of exponents", data, seeds, 0.95, partial(exponents, end, seeds)))
    return found


def of_prompts() -> list[Case]:
    """What is measured at places of responses."""
    found = [
        Case("percentile bootstrap", "mean of a normal", units, 0.95, partial(bootstrap_of_a_mean, units))
        for units in (5, 10, 16, 20, 40)
    ]
    for prompts, name in itertools.product((20, 64, 256), STATISTICS):
        found.append(Case("jackknife", name, prompts, 0.95, partial(jackknifed, name, prompts)))
        if prompts < 256:
            found.append(Case("percentile bootstrap", name, prompts, 0.95, partial(bootstrapped, name, prompts)))
    return found


def of_updates() -> list[Case]:
    """What probes say of gradients and of one update."""
    found = []
    for tail, (prompts, scale) in itertools.product((0.0, 0.4, 0.7), ((16, 20.0), (64, 20.0), (64, 200.0))):
        data, draw = f"{scale:.0f} responses, sd of log size {tail}", partial(scale_of_noise, tail, scale, prompts)
        found.append(Case("noise scale", data, prompts, 0.95, draw))
    for success, step in itertools.product((0.4, 0.05), (0.03, 0.3)):
        data, draw = f"J = {success}, odds up by {step:.0%}", partial(change_of_j, success, step, 512)
        found.append(Case("paired change of J", data, 512, 0.95, draw))
    return found


def of_sweeps() -> list[Case]:
    """Recommended alphas."""
    blind = [Case("recommended alpha", "blind draws", n, 0.95, partial(recommended, False, n)) for n in (6, 10, 20)]
    return [*blind, Case("recommended alpha", "proposed by TPE", 10, 0.95, partial(recommended, True, 10))]


def cases() -> list[Case]:
    """Every interval the project shows, on several kinds of data."""
    return [*of_seeds(), *of_prompts(), *of_updates(), *of_sweeps(), *of_models()]


def count(case: Case, repetitions: int, rng: np.random.Generator) -> dict[str, object]:
    """A row of the table; `found` is among the intervals given, its error that of a share."""
    drawn = np.array([case.draw(rng) for _ in range(repetitions)])
    low, high, truth = drawn[~np.isnan(drawn[:, 0])].T
    given = len(low)
    share = float(np.mean((low <= truth) & (truth <= high)))
    return {
        "interval": case.interval, "data": case.data, "units": case.units, "stated": round(case.stated, 5),
        "repetitions": len(drawn), "given": given, "found": round(share, 4),
        "found_error": round(math.sqrt(share * (1 - share) / given), 4),
        "above": round(float(np.mean(low > truth)), 4), "below": round(float(np.mean(high < truth)), 4),
        "median_width": float(f"{np.median(high - low):.4g}"),
    }  # fmt: skip


def main() -> int:
    """Simulate, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="intervals whose name begins so")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    rows, began = [], time.monotonic()
    for number, case in enumerate(cases()):
        if case.interval.startswith(words.only):
            row = count(case, words.repetitions, np.random.default_rng([words.seed, number]))
            rows.append(row | {"seed": words.seed})
            said = f"{row['interval']}, {row['data']}, {row['units']}: {row['found']} of {row['stated']}"
            print(f"{said} +- {row['found_error']}, given {row['given']}, {time.monotonic() - began:.0f} s", flush=True)
    if words.out:
        write_table(rows, words.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
