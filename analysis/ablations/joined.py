"""Effects of one or several ablations as one table for a paper: estimate, interval, and how many seeds stand behind it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import pandas as pd

from analysis.ablations.effects import ablation_table
from analysis.tables.arms import references, short
from analysis.tables.schema import CELL, COMPONENTS, SCORE_LABELS
from analysis.tables.sheets import Sheet
from analysis.tables.terminal import NONE, interval

Score = Literal["auc", "last"]

SCORES: dict[str, str] = {"auc": "AUC", "last": "last score"}

COLUMNS: tuple[str, ...] = (
    *CELL, "reference", "arm", "component", "change", "estimate", "low", "high", "seeds", "planned", "diverged", "activity",
    "paper_points",
)  # fmt: skip
"""`seeds` are those measured in arm and reference both, of `planned`; `paper_points` is the paper's own difference."""


class Ablation(NamedTuple):
    """The runs of one ablation."""

    name: str
    runs: pd.DataFrame
    planned: int
    """Seeds per arm that were asked for; 0 where that is not known, and then the seeds of its runs count."""


def joined_effects(ablations: Sequence[Ablation], score: Score = "auc", level: float = 0.95) -> pd.DataFrame:
    """One row per arm and reference, columns `COLUMNS`; runs that may not be compared are blocks of their own.

    `estimate` is the mean over shared seeds of arm minus reference, in [-1, 1], `low` and `high` its Student interval, nan
    below two seeds. A run that is in two ablations counts once. Recipes stand against the first reference alone.

    Raises:
        ValueError: if the ablations ran one arm in two settings, or there is no reference arm.
    """
    runs = pd.concat([_with_plan(one) for one in ablations], ignore_index=True)
    runs = runs.drop_duplicates("spec", ignore_index=True)
    rows = []
    for key, part in runs.groupby(list(CELL), sort=False):
        check_one_setting(part)
        found = references(part["arm"])
        if not found:
            raise ValueError("no reference arm among the runs: a table of effects needs a recipe such as vapo")
        planned = part.groupby("arm")["planned"].max()
        for place, reference in enumerate(found):
            table = ablation_table(part, reference, level)
            kept = table[(table["change"] != "reference") & ((table["change"] != "recipe") | (place == 0))]
            rows += [(*key, reference, *_numbers(row, score), int(planned[row["arm"]])) for _, row in kept.iterrows()]
    order = [name for name in COLUMNS if name != "planned"] + ["planned"]
    return pd.DataFrame(rows, columns=order)[list(COLUMNS)]


def _numbers(row: pd.Series, score: Score) -> tuple[object, ...]:
    return (
        row["arm"], row["component"], row["change"], row[f"{score}_diff"], row[f"{score}_diff_low"],
        row[f"{score}_diff_high"], row["pairs"], row["diverged"], row["activity"], row["paper_diff"],
    )  # fmt: skip


def _with_plan(one: Ablation) -> pd.DataFrame:
    seeds = one.runs.groupby(list(CELL))["seed"].transform("nunique") if len(one.runs) else 0
    return one.runs.assign(planned=one.planned or seeds)


def check_one_setting(runs: pd.DataFrame) -> None:
    """Refuse arms whose runs differ in a setting or dial: their mean would be of no setting at all.

    Raises:
        ValueError: naming the arm and what differs.
    """
    names = [name for name in runs if str(name).startswith(("settings.", "dials."))]
    several = runs.groupby("arm")[names].nunique(dropna=False)
    for arm, counts in several[(several > 1).any(axis=1)].iterrows():
        name = counts.index[counts > 1][0]
        values = ", ".join(map(str, runs.loc[runs["arm"] == arm, name].unique()))
        raise ValueError(f"arm {arm!r} was run with {str(name).split('.', 1)[1]} = {values}: make a table of each")


def sheets(effects: pd.DataFrame, score: Score = "auc", level: float = 0.95) -> list[Sheet]:
    """The table as text, one sheet per block; two references stand side by side, a row per component."""
    return [_sheet(part, score, level) for _, part in effects.groupby(list(CELL), sort=False)]


def _sheet(part: pd.DataFrame, score: Score, level: float) -> Sheet:
    found = list(dict.fromkeys(part["reference"]))
    joined = len(found) > 1
    heads, cells = ["Component" if joined else "Arm"], dict[str, dict[str, tuple[str, str]]]()
    for reference in found:
        own = part[part["reference"] == reference]
        heads += [f"{_what(own, reference, joined)} [{level:.0%}]", "seeds"]
        for _, row in own.iterrows():
            name = row["component"] or row["arm"] if joined else short(row["arm"])
            text = interval(row.rename({"low": "estimate_low", "high": "estimate_high"}), "estimate", sign=True)
            cells.setdefault(name, {})[reference] = (text, f"{row['seeds']} of {row['planned']}")
    order = sorted(cells, key=lambda name: COMPONENTS.index(name) if name in COMPONENTS else len(COMPONENTS))
    nothing = (NONE, "")
    rows = [(name, *(x for reference in found for x in cells[name].get(reference, nothing))) for name in order]
    return Sheet(tuple(heads), rows, _caption(part, score, level))


def _what(own: pd.DataFrame, reference: str, joined: bool) -> str:
    changes = set(own["change"])
    if joined and "removal" in changes:
        return f"Δ removed from {reference}"
    return f"Δ added to {reference}" if joined and "addition" in changes else f"Δ to {reference}"


def _caption(part: pd.DataFrame, score: Score, level: float) -> str:
    first = part.iloc[0]
    scored = SCORE_LABELS.get(first["metric"], first["metric"])
    number = "area under the curve of" if score == "auc" else "last value of"
    crashed = int(part.drop_duplicates("arm")["diverged"].sum())
    return (
        f"World {first['world']}, task {first['task']}, {first['steps']} RL steps: difference (Δ) in {SCORES[score]}, the "
        f"{number} {scored}, from 0 to 1: arm minus reference, mean over paired seeds with {level:.0%} Student intervals, "
        "not corrected for the number of arms. Seeds: measured in both, of those planned."
        + (f" {crashed} diverged runs count as 0 from their divergence on." if crashed else "")
    )
