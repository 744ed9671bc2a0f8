"""Two ablations, or one at two commits, arm by arm and seed by seed: what differs, with its interval."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.ablations.joined import Ablation, Score, check_one_setting
from analysis.statistics.intervals import paired
from analysis.tables.arms import in_order, parse, references, short
from analysis.tables.schema import CELL
from analysis.tables.sheets import Sheet
from analysis.tables.terminal import NONE, interval, number

COLUMNS: tuple[str, ...] = (
    "arm", "a", "b", "diff", "diff_low", "diff_high", "seeds", "planned", "identical", "reference",
    "effect_a", "effect_b", "effect_diff", "effect_diff_low", "effect_diff_high", "effect_seeds",
)  # fmt: skip
"""Per arm: mean scores over shared seeds and b − a; then each ablation's effect (arm − reference), and how that changed."""


class Compared(NamedTuple):
    """The comparison and what it leaves out."""

    table: pd.DataFrame
    """Columns `COLUMNS`, one row per arm that both have."""
    only_a: tuple[str, ...]
    """Arms of the first alone."""
    only_b: tuple[str, ...]
    differ: tuple[str, ...]
    """Settings, dials and commit in which the arms that both have differ, such as `policy_lr 0.002 and 0.004`."""


def compared(a: Ablation, b: Ablation, score: Score = "auc", level: float = 0.95) -> Compared:
    """b minus a of every arm that both have, paired by seed, with Student intervals, nan below two shared seeds.

    `effect_diff` is (arm − reference) in b minus the same in a, over seeds with all four runs. `identical` is the number of
    seeds with the very same score in both.

    Raises:
        ValueError: if the two ran different tasks, steps or protocols, have no arm and seed in common, or mix settings.
    """
    left, right = _scores(a, score), _scores(b, score)
    cells = [tuple(runs[name].iloc[0] for name in CELL) for runs in (a.runs, b.runs)]
    for name, one, other in zip(CELL, *cells, strict=True):
        if one != other:
            raise ValueError(f"the two differ in {name} ({one} and {other}): their scores cannot be compared")
    shared = [arm for arm in left.columns if arm in right.columns]
    reference = [*references(shared), ""][0]
    order = [*in_order(shared, reference), *sorted(shared)] if reference else sorted(shared)
    planned = max(_planned(a), _planned(b))
    rows = [_row(arm, left, right, reference, planned, level) for arm in dict.fromkeys(order)]
    table = pd.DataFrame([row for row in rows if row["seeds"]], columns=list(COLUMNS))
    if table.empty:
        raise ValueError("the two have no arm with a common seed, so nothing can be paired")
    only_a, only_b = (tuple(sorted(set(x.columns) - set(y.columns))) for x, y in ((left, right), (right, left)))
    both = [one.runs[one.runs["arm"].isin(table["arm"])] for one in (a, b)]
    return Compared(table, only_a, only_b, tuple(_differing(*both)))


def _differing(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[str]:
    """What the rows of the same arms say differently; a column that one table lacks says nothing."""
    for name in a.columns.intersection(b.columns):
        if str(name).startswith(("settings.", "dials.")) or name == "git_commit":
            values = [sorted(map(str, runs[name].dropna().unique())) for runs in (a, b)]
            if values[0] != values[1]:
                bare = "commit" if name == "git_commit" else str(name).split(".", 1)[1]
                yield f"{bare} {' '.join(values[0]) or NONE} and {' '.join(values[1]) or NONE}"


def _scores(one: Ablation, score: Score) -> pd.DataFrame:
    """[seeds, arms] scores; nan where an arm lacks a seed."""
    runs = one.runs
    for name in CELL:
        if runs[name].nunique() > 1:
            raise ValueError(f"{one.name}: its runs differ in {name}, so they are no single ablation")
    check_one_setting(runs)
    return runs.pivot(index="seed", columns="arm", values=score)


def _planned(one: Ablation) -> int:
    return one.planned or int(one.runs["seed"].nunique())


def _row(
    arm: str, left: pd.DataFrame, right: pd.DataFrame, reference: str, planned: int, level: float
) -> dict[str, object]:
    pairs = pd.concat({"a": left[arm], "b": right[arm]}, axis=1).dropna()
    own = parse(arm)
    home = own.base if own.component and own.base in left and own.base in right else reference
    effects = pd.DataFrame()
    if home and arm != home:
        effects = pd.concat({"a": left[arm] - left[home], "b": right[arm] - right[home]}, axis=1).dropna()
    gap = paired(pairs["b"], pairs["a"], level)
    row = dict(zip(COLUMNS, (arm, pairs["a"].mean(), pairs["b"].mean(), *gap, len(pairs), planned), strict=False))
    row |= {"identical": int((pairs["a"] == pairs["b"]).sum()), "reference": home if arm != home else ""}
    if not len(effects):
        return row | dict.fromkeys(COLUMNS[10:15], np.nan) | {"effect_seeds": 0}
    change = paired(effects["b"], effects["a"], level)
    numbers = (effects["a"].mean(), effects["b"].mean(), *change, len(effects))
    return row | dict(zip(COLUMNS[10:], numbers, strict=True))


HEADS = ("Arm", "A", "B", "B − A [95%]", "Seeds", "Effect in A", "Effect in B", "Change of effect [95%]")


def compared_sheet(found: Compared, a: str, b: str, score: str) -> Sheet:
    """The comparison as text."""
    rows = [
        (
            short(row["arm"]), number(row["a"]), number(row["b"]), _difference(row, "diff"),
            f"{row['seeds']} of {row['planned']}", number(row["effect_a"], sign=True), number(row["effect_b"], sign=True),
            _difference(row, "effect_diff"),
        )
        for _, row in found.table.iterrows()
    ]  # fmt: skip
    differ = f"A and B differ in {'; '.join(found.differ)}." if found.differ else "Settings and commits are the same."
    left_out = [
        f"Only in {name}: {', '.join(arms)}." for name, arms in (("A", found.only_a), ("B", found.only_b)) if arms
    ]
    caption = " ".join([
        f"A = {a}, B = {b}. {score}, means over the seeds that both have; differences paired by seed, with 95% Student "
        "intervals. Effect: arm minus reference (for a changed component, the recipe it changes).", differ, *left_out,
    ])  # fmt: skip
    return Sheet(HEADS, rows, caption)


def _difference(row: pd.Series, name: str) -> str:
    """The interval, unless there is nothing to estimate: the very same scores in every seed."""
    if np.isnan(row[name]):
        return NONE
    return "identical" if row["identical"] == row["seeds"] and row[name] == 0 else interval(row, name, sign=True)
