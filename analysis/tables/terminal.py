"""Numbers as text, and the table of effects for a terminal."""

import math

import pandas as pd
from rich import box
from rich.table import Table

from analysis.tables.arms import short
from analysis.tables.schema import SCORE_LABELS

NONE = "–"
"""Stands where a number does not exist."""


def number(x: float, digits: int = 3, sign: bool = False) -> str:
    """A number with fixed decimals, signed on request, but for what rounds to 0; `NONE` for nan."""
    if math.isnan(x):
        return NONE
    plain = f"{abs(x):.{digits}f}"
    return plain if not float(plain) else f"{x:{'+' if sign else ''}.{digits}f}"


def interval(row: pd.Series, name: str, sign: bool = False) -> str:
    """`-0.021 [-0.030, -0.012]` from columns name, name_low, name_high; the estimate alone if the bounds are nan.

    Three decimals, or as many more as it takes to see that an interval excludes 0.
    """
    estimate, low, high = (float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    if math.isnan(low):
        return number(estimate, sign=sign)
    nearest = min(abs(low), abs(high)) if low * high > 0 else 1.0
    digits = next((n for n in range(3, 6) if round(nearest, n) > 0), 6)
    return f"{number(estimate, digits, sign)} [{number(low, digits, sign)}, {number(high, digits, sign)}]"


HEADS = ("seeds", "AUC", "Δ AUC", "Δ last", "activity", "tokens", "length", "Δ paper")

NARROW = 120
"""Columns of a terminal below which the difference in the last score is left out; 100 are enough then."""


def effects_table(table: pd.DataFrame, metric: str = "", width: int = 120, level: float = 0.95) -> Table:
    """The table of `effects.ablation_table` for a terminal of that width in columns; print it with a rich Console."""
    reference = table["arm"].iloc[0] if len(table) else ""
    out = Table(
        box=box.SIMPLE_HEAD,
        title=f"Effects against {reference}" + (f", score {SCORE_LABELS.get(metric, metric)}" if metric else ""),
        caption=f"Δ: arm minus {reference} per seed, with {level:.0%} Student intervals. AUC over RL steps, "
        "normalised. Seeds: pairs/runs where they differ, ✗ diverged. Activity: how much the component had to "
        "do. Paper: Table 1, points, no intervals.",
        caption_justify="left",
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    out.add_column("arm", no_wrap=True)
    shown = [name for name in HEADS if width >= NARROW or name != "Δ last"]
    for name in shown:
        out.add_column(name, justify="right", no_wrap=True)
    for _, row in table.iterrows():
        cells = dict(zip(HEADS, _cells(row), strict=True))
        out.add_row(short(row["arm"]), *(cells[name] for name in shown))
    return out


def _cells(row: pd.Series) -> list[str]:
    """What stands under `HEADS`."""
    is_reference = row["change"] == "reference"
    pairs = "" if row["pairs"] == row["seeds"] else f"{row['pairs']}/"
    crashed = f" {row['diverged']}✗" if row["diverged"] else ""
    return [
        f"{pairs}{row['seeds']}{crashed}",
        number(row["auc"]),
        "reference" if is_reference else interval(row, "auc_diff", sign=True),
        "" if is_reference else interval(row, "last_diff", sign=True),
        number(row["activity"]),
        "×" + number(row["tokens_ratio"], 2),
        number(row["mean_length"], 1),
        "" if is_reference else number(row["paper_diff"], 0, sign=True),
    ]
