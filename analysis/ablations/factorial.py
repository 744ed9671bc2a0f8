"""Main effects and two-way interactions of a two-level factorial or regular fraction, a seed being one replicate.

Coding is +1 for on and -1 for off. A main effect is mean(on) - mean(off). An interaction is the AB/2 contrast: half the
difference between A's effect with B on and with B off, which is mean(AB = +1) - mean(AB = -1). So every effect has the
same standard deviation per seed, 2 sigma / sqrt(runs): 0.177 sigma for 128 runs (METHODS.md, h6b).
"""

from math import comb
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ablations.aliasing import LETTERS, alias_table, named, words_of
from analysis.statistics.intervals import student
from analysis.tables.schema import COMPONENTS

LEAST_RUNS = 16
"""Combinations below which a set of arms is not taken for a factorial."""

EDGE = 0.001
"""Scores are cut to [EDGE, 1 - EDGE] before the logit, which has no value at 0 and 1."""

COLUMNS: tuple[str, ...] = (
    "letters", "effect", "order", "aliased", "seeds",
    "auc", "auc_low", "auc_high", "auc_sd", "logit", "logit_low", "logit_high", "logit_sd", "same_sign",
)  # fmt: skip


class Factorial(NamedTuple):
    """Scores of a factorial."""

    recipe: str
    points: NDArray[np.int_]
    """[N, 7] coding of the N combinations, +1 on and -1 off, in component order."""
    scores: NDArray[np.float64]
    """[S, N] AUC of every combination and complete replicate, in [0, 1]."""
    seeds: tuple[int, ...]
    """[S] seeds with all N runs."""
    left_out: tuple[int, ...]
    """Seeds of which only some runs are there."""
    words: tuple[str, ...]
    """Defining relation; () for the full factorial."""


def detect(runs: pd.DataFrame) -> Factorial | None:
    """The factorial among runs that may be compared, or None if there is none of 16 combinations or more.

    Combinations count that have the recipe's other settings in common; a factorial that has no complete replicate has S = 0.
    """
    for recipe, part in runs.groupby("recipe"):
        plain = part[~part["arm"].str.contains("=")].drop_duplicates(["seed", *COMPONENTS])
        points = plain[list(COMPONENTS)].drop_duplicates().astype(bool)
        if len(points) < LEAST_RUNS:
            continue
        words = words_of(points.to_dict("records"))
        if words is not None:
            return _table(str(recipe), plain, words)
    return None


def _table(recipe: str, runs: pd.DataFrame, words: tuple[str, ...]) -> Factorial:
    wide = runs.pivot(index="seed", columns=list(COMPONENTS), values="auc")
    complete = wide.notna().all(axis=1)
    points = np.array([[1 if on else -1 for on in column] for column in wide.columns])
    seeds, others = (tuple(int(seed) for seed in wide.index[chosen]) for chosen in (complete, ~complete))
    return Factorial(recipe, points, wide[complete].to_numpy(float), seeds, others, words)


def contrast(points: NDArray[np.int_], effect: str) -> NDArray[np.int_]:
    """[N] product of an effect's columns of points [N, 7]: +1 or -1 per combination."""
    return points[:, [LETTERS.index(letter) for letter in effect]].prod(axis=1)


def per_seed(scores: NDArray[np.float64], points: NDArray[np.int_], effect: str) -> NDArray[np.float64]:
    """[S] an effect in every replicate of scores [S, N]: mean over its +1 half less mean over its -1 half."""
    return 2 * scores @ contrast(points, effect) / len(points)


def logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)) of scores cut to [EDGE, 1 - EDGE]."""
    cut = np.clip(scores, EDGE, 1 - EDGE)
    return np.log(cut / (1 - cut))


def effects(found: Factorial, level: float = 0.95) -> pd.DataFrame:
    """One row per main effect and two-way interaction, columns `COLUMNS`; effects aliased with each other share a row.

    `auc` is in AUC, `logit` in log-odds; `_low` and `_high` bound Student intervals over seeds, nan below two; `_sd` is
    over seeds. Where `same_sign` is false the effect depends on the scale. A share row is named by its first member, and
    the others stand in `aliased`.
    """
    rows = []
    for letters, *others in alias_table(found.words):
        row: dict[str, Any] = {
            "letters": letters, "effect": named(letters), "order": len(letters),
            "aliased": " + ".join(others), "seeds": len(found.seeds),
        }  # fmt: skip
        for name, scores in (("auc", found.scores), ("logit", logit(found.scores))):
            values = per_seed(scores, found.points, letters)
            mean, low, high = student(values, level)
            sd = values.std(ddof=1) if len(values) > 1 else np.nan
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_sd": sd}
        rows.append(row | {"same_sign": bool(row["auc"] * row["logit"] >= 0)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def shapley(found: Factorial, level: float = 0.95) -> pd.DataFrame:
    """Each component's Shapley value in AUC, from all 128 combinations; columns component, auc, auc_low, auc_high, auc_sd.

    The mean over orders of switching components on of what this one adds; the seven sum to full VAPO less all off. Its
    sd over seeds (`auc_sd`) is 0.32 sigma. No rows for a fraction, which lacks combinations.
    """
    rows = []
    for name, values in zip(COMPONENTS, shapley_per_seed(found).T, strict=True) if not found.words else ():
        sd = values.std(ddof=1) if len(values) > 1 else np.nan
        rows.append((name, *student(values, level), sd))
    return pd.DataFrame(rows, columns=["component", "auc", "auc_low", "auc_high", "auc_sd"])


def shapley_per_seed(found: Factorial) -> NDArray[np.float64]:
    """[S, 7] Shapley values of every complete replicate of a full factorial, in AUC."""
    shares = [found.points[:, i] * _shapley_weights(found.points, i) for i in range(found.points.shape[1])]
    return found.scores @ np.array(shares).T


def _shapley_weights(points: NDArray[np.int_], i: int) -> NDArray[np.float64]:
    """[N] probability that in a random order exactly a combination's other components come before component i."""
    before = (np.delete(points, i, axis=1) > 0).sum(axis=1)
    count = points.shape[1]
    return np.array([1 / (count * comb(count - 1, int(k))) for k in before])
