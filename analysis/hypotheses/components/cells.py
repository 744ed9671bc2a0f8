"""Rows of runs.csv indexed by regime and arm, since a study of thousands of runs is queried for hundreds of pairs."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.ablations.factorial import Factorial, detect
from analysis.tables.regimes import FAILING, GRID, LONGEST, TEXT, Regime, of_length, rows
from analysis.tables.rows import having
from analysis.tables.schema import COMPONENTS

KEPT: tuple[str, ...] = (
    "seed", "world", "arm", "auc", "last", "mean_length", "dials.filler", "settings.fixed_lambda", "settings.pool_size",
    *COMPONENTS, *(f"activity_{name}" for name in COMPONENTS),
)  # fmt: skip
"""Columns that estimates are made of."""

USUAL_LAMBDA = 0.95
"""`fixed_lambda` of an arm that changes nothing but which components are on."""

Key = tuple[str, str, float]


def factorial(runs: pd.DataFrame, tokens: int) -> Factorial | None:
    """The factorial at the shortest answers or the fraction at the longest, few responses a step; None without one.

    The fraction has an even number of components off; other arms of the regime are no part of it.
    """
    usual = {"recipe": "vapo", "variants": "", "settings.fixed_lambda": USUAL_LAMBDA}
    here = having(rows(runs, of_length(tokens)[1]), usual)
    here = here[here["settings.pool_size"] == here["settings.pool_size"].max()] if len(here) else here
    if tokens == LONGEST and len(here):
        here = here[(~here[list(COMPONENTS)].astype(bool)).sum(axis=1) % 2 == 0]
    return detect(here)


class Cells:
    """Arms by regime: `vapo without clip_higher`, `ppo with decoupled_gae`, `grpo`."""

    def __init__(self, runs: pd.DataFrame, regimes: Iterable[Regime] = (*GRID, *FAILING, *TEXT)) -> None:
        """Args: runs, of runs.csv; regimes, those of the study unless others are meant."""
        self._arms: dict[Key, dict[float, pd.DataFrame]] = {}
        narrow = [name for name in KEPT if name in runs]
        self._empty = runs.iloc[:0][narrow].set_index("seed")
        for regime in regimes:
            here = rows(runs, regime)[narrow]
            by = ["arm", "settings.fixed_lambda", "settings.pool_size"]
            for key, part in here.groupby(by) if len(here) else ():
                arm, constant, pool = np.array(key, object)
                pools = self._arms.setdefault((regime.name, str(arm), round(float(constant), 6)), {})
                pools[float(pool)] = part.drop_duplicates("seed").set_index("seed")

    def arm(self, regime: Regime, label: str, constant: float = USUAL_LAMBDA, small_pool: bool = False) -> pd.DataFrame:
        """[S] the rows of an arm in a regime by seed; none if it was not run.

        Args:
            regime: where.
            label: as in column `arm`.
            constant: its `fixed_lambda`.
            small_pool: the smallest of several pools of problems in place of the usual, largest one; no rows if there is one.
        """
        pools = self._arms.get((regime.name, label, round(constant, 6)), {})
        if not pools or (small_pool and len(pools) < 2):
            return self._empty
        return pools[(min if small_pool else max)(pools)]
