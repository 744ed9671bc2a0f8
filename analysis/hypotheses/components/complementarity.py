"""Do the components need each other? The sum of the losses of the seven removals over the gain of VAPO over PPO."""

from collections.abc import Sequence

import pandas as pd

from analysis.hypotheses.components.cells import Cells
from analysis.hypotheses.components.tables import difference
from analysis.statistics.intervals import Interval
from analysis.statistics.ratio import fieller
from analysis.tables import paper
from analysis.tables.regimes import Regime
from analysis.tables.schema import COMPONENTS

PAPER = sum(-paper.difference(f"vapo without {name}") for name in COMPONENTS) / -paper.difference("ppo")
"""123 / 55 = 2.24: Table 1 of the VAPO paper, without an interval."""


def parts(cells: Cells, regimes: Sequence[Regime]) -> pd.DataFrame:
    """[S, 2] `losses`, the sum of VAPO minus VAPO without a component over the seven, and `gain`, VAPO minus PPO, in AUC.

    Of seeds that have all nine arms in every regime; means over regimes.
    """
    removals = [difference(cells, regimes, "vapo", f"vapo without {name}").gain for name in COMPONENTS]
    gain = difference(cells, regimes, "vapo", "ppo").gain
    if not len(gain) or not all(len(removal) for removal in removals):
        return pd.DataFrame({"losses": pd.Series(dtype=float), "gain": pd.Series(dtype=float)})
    losses = pd.concat(removals, axis=1, join="inner").sum(axis=1)
    return pd.concat({"losses": losses, "gain": gain}, axis=1, join="inner")


def ratio(cells: Cells, regimes: Sequence[Regime], level: float = 0.95) -> Interval:
    """losses / gain with Fieller's interval: 1 where effects add up, below 1 where components stand in for each other, above 1
    where they need each other.

    Raises:
        NoEstimate: where VAPO's gain over PPO is not distinguishable from 0, or there are fewer than two seeds.
    """
    found = parts(cells, regimes)
    return fieller(found["losses"], found["gain"], level)
