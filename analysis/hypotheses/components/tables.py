"""What full VAPO gains by each component, by seed: effect, activity, and agreement with the VAPO paper's order."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.statistics.intervals import student
from analysis.statistics.ranks import Rank, agreement
from analysis.tables import paper
from analysis.tables.rows import full_vapo, having
from analysis.tables.schema import COMPONENTS, Tables
from analysis.verdict.questions import Question

WORLDS: dict[str, tuple[str, ...]] = {"walk": ("walk",), "lm": ("text_walk", "chain")}
"""World -> tasks whose mean an effect is."""

CONTRASTS = ("value_pretraining", "group_sampling")
"""Components whose activity is what is measured without them less what with them: a critic that pretraining made worse has
none. The others' is their level in full VAPO."""

COLUMNS = ("world", "component", "effect", "low", "high", "seeds", "activity", "floor", "active", "paper")


class Pairs(NamedTuple):
    """Runs with and without a component, of seeds that have both on every task of a world."""

    gain: pd.Series
    """[S] AUC with minus without, mean over tasks."""
    activity: float
    """How much the component had to do, nan without runs."""


def pairs(tables: Tables, world: str, component: str) -> Pairs:
    """Full VAPO and VAPO without a component."""
    gains, activities = [], []
    for task in WORLDS[world]:
        on, off = (_runs(tables, world, task, *names) for names in ((), (component,)))
        shared = on.index.intersection(off.index)
        gains.append(on.loc[shared, "auc"] - off.loc[shared, "auc"])
        name = f"activity_{component}"
        level = on.loc[shared, name]
        activities.append(off.loc[shared, name] - level if component in CONTRASTS else level)
    gain, activity = (pd.concat(parts, axis=1, join="inner").mean(axis=1) for parts in (gains, activities))
    return Pairs(gain, float(activity.mean()))


def _runs(tables: Tables, world: str, task: str, *off: str) -> pd.DataFrame:
    found = having(tables.runs, {"world": world, "task": task, **full_vapo(*off)})
    return found.drop_duplicates("seed").set_index("seed")


def table(tables: Tables, questions: Mapping[str, Question], level: float = 0.95) -> pd.DataFrame:
    """A row per world and component that have runs, columns `COLUMNS`; effects in AUC, `paper` in points lost without it."""
    rows = []
    for world in WORLDS:
        for name in COMPONENTS:
            found, floor = pairs(tables, world, name), questions[name].floor.least
            if len(found.gain):
                lost = -paper.difference(f"vapo without {name}")
                rows.append((world, name, *student(found.gain, level), len(found.gain), found.activity, floor,
                             found.activity >= floor, lost))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def ranks(effects: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau between two orders of the seven components, with what random orders give; pairs of lists that are whole.

    Columns: between, tau, null_low, null_high, p. The interval is of chance, not of tau: one-run numbers have no error.
    """
    lists = {name: part.set_index("component")["effect"].reindex(COMPONENTS) for name, part in effects.groupby("world")}
    lists["paper"] = pd.Series({name: -paper.difference(f"vapo without {name}") for name in COMPONENTS})
    rows: list[tuple[str, float, float, float, float]] = []
    for a, b in (("walk", "paper"), ("lm", "paper"), ("walk", "lm")):
        if a in lists and b in lists and not (lists[a].isna().any() or lists[b].isna().any()):
            found: Rank = agreement(lists[a], lists[b], np.random.default_rng(0)).kendall
            rows.append((f"{NAMES[a]} and {NAMES[b]}", found.value, found.null_low, found.null_high, found.p))
    return pd.DataFrame(rows, columns=["between", "tau", "null_low", "null_high", "p"])


NAMES = {"walk": "walk", "lm": "text", "paper": "paper"}
"""How lists are called."""
