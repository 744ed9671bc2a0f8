"""Grids of alphas and of constant lambdas on paired seeds, and statistics of their curves."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.tables.rows import by_seed, full_vapo, having

HORIZONS = (1, 4, 8, 16, 32, 64, 256)
ALPHAS = tuple(h / 32 for h in HORIZONS)
"""Their horizon is that of `LAMBDAS` where a response has 32 tokens."""
LAMBDAS = tuple(1 - 1 / h for h in HORIZONS)


class Grids(NamedTuple):
    """Scores of VAPO's rule and of constants on the seeds that all of them have."""

    seeds: np.ndarray
    """[S]."""
    alphas: tuple[float, ...]
    adaptive: np.ndarray
    """[S, alphas] area under the learning curve."""
    lambdas: tuple[float, ...]
    constant: np.ndarray
    """[S, lambdas]."""

    def among(self, seeds: np.ndarray) -> "Grids":
        """Only these seeds."""
        rows = np.searchsorted(self.seeds, seeds)
        return self._replace(seeds=seeds, adaptive=self.adaptive[rows], constant=self.constant[rows])


def grids(runs: pd.DataFrame, alphas: tuple[float, ...] = ALPHAS, lambdas: tuple[float, ...] = LAMBDAS) -> Grids:
    """Of full VAPO and of VAPO without length_adaptive_gae among these runs, at these settings as far as there are rows."""
    adaptive = by_seed(having(runs, {**full_vapo(), "settings.alpha": alphas}), "settings.alpha")
    fixed = {**full_vapo("length_adaptive_gae"), "settings.fixed_lambda": lambdas}
    constant = by_seed(having(runs, fixed), "settings.fixed_lambda")
    seeds = np.intersect1d(adaptive.index, constant.index) if len(constant) and len(adaptive) else adaptive.index[:0]
    return Grids(
        np.asarray(seeds), tuple(map(float, adaptive.columns)), adaptive.loc[seeds].to_numpy(float),
        tuple(map(float, constant.columns)), constant.loc[seeds].to_numpy(float) if len(constant) else np.empty((0, 0)),
    )  # fmt: skip


def width(x: np.ndarray, height: np.ndarray, delta: float) -> float:
    """Length of the x whose height, linear between points [n], is within delta of the highest point."""
    grid = np.linspace(x[0], x[-1], 401)
    within = np.interp(grid, x, height) >= height.max() - delta
    return float(within[:-1].mean() / 2 + within[1:].mean() / 2) * float(x[-1] - x[0])


def peak(x: np.ndarray, height: np.ndarray) -> float:
    """Where a parabola through the highest of three points or more and its neighbours is highest; an end if that is it."""
    top = int(height.argmax())
    if top in (0, len(x) - 1):
        return float(x[top])
    a, b, _ = np.polyfit(x[top - 1 : top + 2], height[top - 1 : top + 2], 2)
    return float(-b / (2 * a)) if a < 0 else float(x[top])


def transfer(here: np.ndarray, there: np.ndarray, rng: np.random.Generator, splits: int = 10) -> np.ndarray:
    """[S] what is lost there by the setting chosen here against the one chosen there, both on the other half of the seeds.

    Args:
        here: [S, M] scores. there: [S, M] of the same seeds and settings elsewhere.
        rng: halves the seeds.
        splits: halvings averaged over.
    """
    lost = np.zeros((splits, len(here)))
    for split in range(splits):
        order = rng.permutation(len(here))
        halves = order[: len(here) // 2], order[len(here) // 2 :]
        for choosing, scoring in (halves, halves[::-1]):
            own, brought = (int(x[choosing].mean(0).argmax()) for x in (there, here))
            lost[split, scoring] = there[scoring, own] - there[scoring, brought]
    return lost.mean(0)
