"""The tables everything here reads: names of their columns, and how a folder becomes a `Tables`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.tables.boundary import Damaged, naming

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

TRAINED = ("first", "last", "auc", "mean_length", "tokens", *COMPONENTS, *(f"activity_{c}" for c in COMPONENTS))
"""Of these, what only a trained run has: rows of world exact leave them open."""

LATER_TEXT = ("variants", "probes")
"""Text columns that older tables lack: `slot=name` and `probe=every`, one space between; "" there."""

HASHES = ("source", "plugin")
"""Text columns that a table may have and nothing here reads; digits alone would be read as a number."""

CURVE_COLUMNS: tuple[str, ...] = ("spec", "step", "metric", "value")
"""Columns of curves.parquet: one row per run, RL step and metric."""

PROBE_COLUMNS: tuple[str, ...] = ("spec", "step", "probe", "item", "column", "value")
"""Columns of probes.parquet: the arrays probes leave, one row per number; `item` counts the rows of one measurement."""

CELL: tuple[str, ...] = ("world", "task", "metric", "steps", "protocol")
"""Runs that agree on these may be compared; seeds are paired across arms only among them."""


class Tables(NamedTuple):
    """Finished runs, and what they measured on the way."""

    runs: pd.DataFrame
    """One row per finished or diverged run, `RUN_COLUMNS`."""
    curves: pd.DataFrame
    """Long form, `CURVE_COLUMNS`; `spec` points into `runs`."""
    probes: pd.DataFrame = pd.DataFrame(columns=list(PROBE_COLUMNS))
    """Long form, `PROBE_COLUMNS`; no rows where nothing was left or asked for."""


def load(folder: Path, probes: Collection[str] | None = None) -> Tables:
    """Read `runs.csv`, `curves.parquet` and, if there is one, `probes.parquet` from a folder; each may have no rows.

    Args:
        folder: where they are.
        probes: names of the probes whose arrays are read; all if not given. Those of a large grid are large.

    Raises:
        FileNotFoundError: if one of the first two files is not there.
        ValueError: if a column is missing, a run appears twice, or a trained run has no score.
    """
    for name in ("runs.csv", "curves.parquet"):
        if not (Path(folder) / name).is_file():
            raise FileNotFoundError(
                f"{Path(folder) / name} is missing: a table folder holds runs.csv and curves.parquet"
            )
    text = dict.fromkeys((*RUN_TEXT, *LATER_TEXT, *HASHES), "str")
    with naming(Path(folder) / "runs.csv"):
        runs = pd.read_csv(Path(folder) / "runs.csv", dtype=text, keep_default_na=True)
    with naming(Path(folder) / "curves.parquet"):
        curves = pd.read_parquet(Path(folder) / "curves.parquet")
    arrays = _arrays(Path(folder) / "probes.parquet", probes)
    try:
        return check(Tables(runs, curves, arrays))
    except ValueError as error:
        raise Damaged(str(Path(folder) / str(error))) from None


def _arrays(path: Path, probes: Collection[str] | None) -> pd.DataFrame:
    """Rows of probes.parquet; none if there is no such file."""
    if not path.is_file() or (probes is not None and not probes):
        return pd.DataFrame(columns=list(PROBE_COLUMNS))
    with naming(path):
        return pd.read_parquet(path, filters=None if probes is None else [("probe", "in", list(probes))])


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other; empty ones have no say in the types of columns."""
    some = [part for part in parts if len(part)] or list(parts[:1])
    return pd.concat(some, ignore_index=True)


def check(tables: Tables) -> Tables:
    """The same tables, missing text filled with "" and numbers as numbers.

    Rows of world exact may lack what only trained runs have; beside such rows, components are nullable booleans.

    Raises:
        ValueError: if a column is missing, a run appears twice, or a trained run has no score.
    """
    runs, curves = tables.runs.copy(), tables.curves.copy()
    if "world" in runs and len(runs) and (runs["world"] == "exact").all():
        runs = runs.reindex(columns=[*runs.columns, *(name for name in TRAINED if name not in runs)])
    runs = runs.reindex(columns=[*runs.columns, *(name for name in LATER_TEXT if name not in runs)])
    _require("runs.csv", runs, RUN_COLUMNS)
    _require("curves.parquet", curves, CURVE_COLUMNS)
    _require("probes.parquet", tables.probes, PROBE_COLUMNS)
    for name in (*RUN_TEXT, *LATER_TEXT):
        runs[name] = runs[name].astype("object").where(runs[name].notna(), "").astype(str)
    for name in (*RUN_NUMBERS, *(f"activity_{c}" for c in COMPONENTS)):
        runs[name] = _numbers("runs.csv", runs, name)
    for name in ("step", "value"):
        curves[name] = _numbers("curves.parquet", curves, name)
    _check_runs(runs)
    for name in COMPONENTS:
        if runs[name].isna().any():
            runs[name] = runs[name].astype("boolean")
    return Tables(runs, curves, tables.probes)


def _check_runs(runs: pd.DataFrame) -> None:
    """Raises ValueError if a run appears twice or its row says what none can."""
    scores = runs[["last", "auc"]]
    for wrong, problem in (
        (runs["spec"].duplicated(), "appears twice"),
        (~runs["state"].isin(STATES), f"has a state other than {' and '.join(STATES)}"),
        *((runs[name] % 1 != 0, f"has a {name} that is no whole number") for name in ("seed", "steps", "protocol")),
        *((runs[name].notna() & ~runs[name].isin([True, False]), f"has {name} neither on nor off") for name in COMPONENTS),
        ((scores.isna() | np.isinf(scores)).any(axis=1) & (runs["world"] != "exact"),
         "has no score; last and auc count 0 after a divergence"),
    ):  # fmt: skip
        if wrong.any():
            raise ValueError(f"runs.csv: run {runs.loc[wrong, 'spec'].iloc[0]} {problem}")


STATES = ("finished", "diverged")
"""What a run with a row has come to."""


def _numbers(file: str, table: pd.DataFrame, name: str) -> pd.Series:
    """A column as numbers."""
    found = pd.to_numeric(table[name], errors="coerce")
    strange = table.loc[found.isna() & table[name].notna(), name]
    if len(strange):
        raise ValueError(f"{file}: {name} = {str(strange.iloc[0])[:40]!r} is no number")
    return found


def _require(file: str, table: pd.DataFrame, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"{file} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
