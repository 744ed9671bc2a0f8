"""The two tables everything here reads: names of their columns, and how a folder becomes a `Tables`."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

COMPONENTS: tuple[str, ...] = (
    "value_pretraining",
    "decoupled_gae",
    "length_adaptive_gae",
    "token_level_loss",
    "clip_higher",
    "positive_lm_loss",
    "group_sampling",
)
"""The seven components in the order every table and figure lists them."""

ACTIVITY: dict[str, str] = {
    "value_pretraining": "critic's mean squared error to returns at the first step, reward²",
    "decoupled_gae": "mean distance between the λ of targets and of advantages",
    "length_adaptive_gae": "mean distance of λ_policy from the fixed λ",
    "token_level_loss": "coefficient of variation of response length",
    "clip_higher": "share of tokens between the symmetric and the wider bound",
    "positive_lm_loss": "share of tokens that belong to correct answers",
    "group_sampling": "distinct prompts in a step",
}
"""What `activity_<component>` measures, with its unit: how much the component had to do."""

SCORE_LABELS: dict[str, str] = {"val/exact_j": "exact expected reward J", "val/pass_at_1": "pass@1"}
"""How a scored metric is called on axes and in text; both run from 0 to 1."""

RUN_TEXT = ("spec", "study", "world", "task", "recipe", "arm", "base", "state", "reason", "metric", "git_commit")
RUN_NUMBERS = ("seed", "steps", "protocol", "first", "last", "auc", "mean_length", "tokens", "seconds")
RUN_COLUMNS: tuple[str, ...] = (*RUN_TEXT, *RUN_NUMBERS, *COMPONENTS, *(f"activity_{c}" for c in COMPONENTS))
"""Columns of runs.csv that analysis needs; others (`settings.*`, `warm_key` ...) may be there and are kept."""

CURVE_COLUMNS: tuple[str, ...] = ("spec", "step", "metric", "value")
"""Columns of curves.parquet: one row per run, RL step and metric."""

CELL: tuple[str, ...] = ("world", "task", "metric", "steps", "protocol")
"""Runs that agree on these may be compared; seeds are paired across arms only among them."""


class Tables(NamedTuple):
    """Finished runs, and what they measured on the way."""

    runs: pd.DataFrame
    """One row per finished or diverged run, `RUN_COLUMNS`."""
    curves: pd.DataFrame
    """Long form, `CURVE_COLUMNS`; `spec` points into `runs`."""


def load(folder: Path) -> Tables:
    """Read `runs.csv` and `curves.parquet` from a folder; either may have no rows.

    Raises:
        FileNotFoundError: if one of the two files is not there.
        ValueError: if a column is missing, a run appears twice, or a run has no score.
    """
    for name in ("runs.csv", "curves.parquet"):
        if not (Path(folder) / name).is_file():
            raise FileNotFoundError(
                f"{Path(folder) / name} is missing: a table folder holds runs.csv and curves.parquet"
            )
    runs = pd.read_csv(Path(folder) / "runs.csv", dtype=dict.fromkeys(RUN_TEXT, "str"), keep_default_na=True)
    curves = pd.read_parquet(Path(folder) / "curves.parquet")
    return check(Tables(runs, curves))


def check(tables: Tables) -> Tables:
    """The same tables, missing text filled with "" and numbers as numbers.

    Raises:
        ValueError: if a column is missing, a run appears twice, or a run has no score.
    """
    _require("runs.csv", tables.runs, RUN_COLUMNS)
    _require("curves.parquet", tables.curves, CURVE_COLUMNS)
    runs, curves = tables.runs.copy(), tables.curves.copy()
    for name in RUN_TEXT:
        runs[name] = runs[name].astype("object").where(runs[name].notna(), "").astype(str)
    for name in (*RUN_NUMBERS, *(f"activity_{c}" for c in COMPONENTS)):
        runs[name] = pd.to_numeric(runs[name])
    curves["value"] = pd.to_numeric(curves["value"])
    twice = runs.loc[runs["spec"].duplicated(), "spec"]
    if len(twice):
        raise ValueError(f"runs.csv: run {twice.iloc[0]} appears twice")
    blank = runs.loc[runs[["last", "auc"]].isna().any(axis=1), "spec"]
    if len(blank):
        raise ValueError(f"runs.csv: run {blank.iloc[0]} has no score; last and auc count 0 after a divergence")
    return Tables(runs, curves)


def _require(file: str, table: pd.DataFrame, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"{file} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
