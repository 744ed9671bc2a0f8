"""Effects of each component by seed and regime: AUC, collapse, activity, and the VAPO paper's order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.hypotheses.components.cells import Cells
from analysis.statistics.intervals import student
from analysis.statistics.ranks import Rank, agreement
from analysis.tables import paper
from analysis.tables.regimes import GRID, TEXT, Regime
from analysis.tables.schema import COMPONENTS
from analysis.verdict.questions import Question

PLACES: dict[str, tuple[Regime, ...]] = {"walk": GRID, "lm": TEXT}
"""World -> the declared regimes whose mean an effect is; never chosen ones."""

CONTRASTS = ("value_pretraining", "group_sampling")
"""Components whose activity is what is measured without them less what with them: a critic that pretraining made worse has
none. The others' is their level in full VAPO."""

COLLAPSED = 0.1
"""J at the end of a run below which it has collapsed."""

COLUMNS = ("world", "component", "effect", "low", "high", "seeds", "activity", "floor", "active", "paper")


class Pairs(NamedTuple):
    """Runs of two arms, of seeds that have both in every regime."""

    gain: pd.Series
    """[S] AUC of the first minus the second, mean over regimes."""
    collapse: pd.Series
    """[S] share of regimes in which the second has collapsed, less that of the first."""
    runs: pd.DataFrame
    """The rows of both arms."""


def difference(cells: Cells, regimes: Iterable[Regime], first: str, second: str) -> Pairs:
    """First arm minus second, regimes without either left out."""
    gains, collapses, used = [], [], []
    for regime in regimes:
        a, b = cells.arm(regime, first), cells.arm(regime, second)
        shared = a.index.intersection(b.index)
        if not len(shared):
            continue
        a, b = a.loc[shared], b.loc[shared]
        gains.append(a["auc"] - b["auc"])
        collapses.append((b["last"] < COLLAPSED).astype(float) - (a["last"] < COLLAPSED))
        used += [a.reset_index(), b.reset_index()]
    if not gains:
        return Pairs(pd.Series(dtype=float), pd.Series(dtype=float), pd.DataFrame())
    means = [pd.concat(parts, axis=1, join="inner").mean(axis=1) for parts in (gains, collapses)]
    return Pairs(means[0], means[1], pd.concat(used, ignore_index=True))


def pairs(cells: Cells, regimes: Sequence[Regime], component: str) -> Pairs:
    """Full VAPO and VAPO without a component."""
    return difference(cells, regimes, "vapo", f"vapo without {component}")


def added(cells: Cells, regimes: Sequence[Regime], component: str) -> Pairs:
    """PPO with a component and PPO."""
    return difference(cells, regimes, f"ppo with {component}", "ppo")


def activity(found: Pairs, component: str) -> float:
    """How much a component had to do in runs of `pairs`, nan without runs."""
    name = f"activity_{component}"
    on = found.runs[component].astype(bool) if len(found.runs) else pd.Series(dtype=bool)
    level = float(found.runs.loc[on, name].mean())
    return float(found.runs.loc[~on, name].mean()) - level if component in CONTRASTS else level


def best_constant(cells: Cells, regimes: Iterable[Regime], values: Sequence[float]) -> pd.Series:
    """[S] full VAPO minus the best constant lambda, mean over regimes; each half of the seeds is scored by the other's choice.

    The best of several settings looks better than it is on the seeds that chose it.
    """
    gains = []
    for regime in regimes:
        wide = pd.concat(
            {x: cells.arm(regime, "vapo without length_adaptive_gae", x)["auc"] for x in values}, axis=1
        ).dropna()
        full = cells.arm(regime, "vapo")["auc"].reindex(wide.index)
        if len(wide) < 2:
            continue
        first = np.arange(len(wide)) % 2 == 0
        chosen = pd.Series(index=wide.index, dtype=float)
        for half in (first, ~first):
            chosen[half] = wide.loc[half, wide[~half].mean().idxmax()]
        gains.append((full - chosen).dropna())
    return pd.concat(gains, axis=1, join="inner").mean(axis=1) if gains else pd.Series(dtype=float)


def same_prompts(cells: Cells, regimes: Iterable[Regime]) -> pd.Series:
    """[S] what group_sampling is worth where both arms train on one small pool, mean over regimes."""
    gains = []
    for regime in regimes:
        on, off = (cells.arm(regime, label, small_pool=True) for label in ("vapo", "vapo without group_sampling"))
        if len(gain := (on["auc"] - off["auc"]).dropna()):
            gains.append(gain)
    return pd.concat(gains, axis=1, join="inner").mean(axis=1) if gains else pd.Series(dtype=float)


def table(cells: Cells, questions: Mapping[str, Question], level: float = 0.95) -> pd.DataFrame:
    """A row per world and component that have runs, columns `COLUMNS`; effects in AUC, `paper` in points lost without it."""
    found = []
    for world, regimes in PLACES.items():
        for name in COMPONENTS:
            here, floor = pairs(cells, regimes, name), questions[name].floor.least
            if len(here.gain):
                lost, active = -paper.difference(f"vapo without {name}"), activity(here, name)
                found.append(
                    (world, name, *student(here.gain, level), len(here.gain), active, floor, active >= floor, lost)
                )
    return pd.DataFrame(found, columns=list(COLUMNS))


def ranks(effects: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau between two orders of the seven components, with what random orders give; pairs of lists that are whole.

    Columns: between, tau, null_low, null_high, p. The interval is of chance, not of tau: the paper's numbers have no error.
    """
    lists = {name: part.set_index("component")["effect"].reindex(COMPONENTS) for name, part in effects.groupby("world")}
    lists["paper"] = pd.Series({name: -paper.difference(f"vapo without {name}") for name in COMPONENTS})
    found: list[tuple[str, float, float, float, float]] = []
    for a, b in (("walk", "paper"), ("lm", "paper"), ("walk", "lm")):
        if a in lists and b in lists and not (lists[a].isna().any() or lists[b].isna().any()):
            kendall: Rank = agreement(lists[a], lists[b], np.random.default_rng(0)).kendall
            found.append((f"{NAMES[a]} and {NAMES[b]}", kendall.value, kendall.null_low, kendall.null_high, kendall.p))
    return pd.DataFrame(found, columns=["between", "tau", "null_low", "null_high", "p"])


NAMES = {"walk": "walk", "lm": "text", "paper": "paper"}
"""How lists are called."""
