"""What a sweep found: the trial that half of the seeds chose, scored on the other half, and how far it can be moved.

Trials were proposed and compared on the choosing seeds alone, so the held-back seeds know nothing of the choice.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import Interval, paired, student
from analysis.tables.boundary import Damaged, naming

CHOOSING, HELD_BACK = "choosing", "held back"
MAIN, CONTROL = "main", "control"

SWEEP_TEXT = (
    "place",
    "role",
    "outcome",
    "half",
    "world",
    "task",
    "arm",
    "state",
    "reason",
    "metric",
    "git_commit",
    "spec",
)
SWEEP_COLUMNS: tuple[str, ...] = (
    *SWEEP_TEXT, "trial", "number", "steps", "seed", "score", "mean_length", "tokens", "seconds",
)  # fmt: skip
"""Columns of sweep.csv, one row per trial and finished seed; beside them stands one column per swept setting."""

SPACE_COLUMNS: tuple[str, ...] = ("place", "role", "setting", "scale", "low", "high")
IMPORTANCE_COLUMNS: tuple[str, ...] = ("place", "role", "setting", "importance", "evaluator")

TRIAL_NUMBERS = ("choosing", "held_back", "mean", "low", "high", "seeds", "mean_length", "diverged")

FOUND_COLUMNS: tuple[str, ...] = (
    "place", "role", "setting", "trial", "value", "low", "high", "low_open", "high_open", "mean_length",
    "score", "score_low", "score_high", "seeds", "choosing_score",
    "constant", "difference", "difference_low", "difference_high", "pairs",
)  # fmt: skip
"""Columns of recommendation.csv, one row per swept setting of every study; the difference is to the best constant."""


class SweepTables(NamedTuple):
    """The three tables of a sweep's folder."""

    runs: pd.DataFrame
    """sweep.csv, `SWEEP_COLUMNS` and the swept settings."""
    space: pd.DataFrame
    """space.csv: what was searched."""
    importances: pd.DataFrame
    """importances.csv: shares of the score's variance, the evaluator named."""


class Range(NamedTuple):
    """Values among which the best one lies."""

    low: float
    high: float
    low_open: bool
    """Nothing below was found worse: the end is only that of the searched range."""
    high_open: bool


def load_sweep(folder: Path) -> SweepTables:
    """Read the tables of a sweep.

    Raises:
        FileNotFoundError: if one is not there.
        ValueError: if one lacks a column or holds a run without a score.
    """
    tables = []
    for name, wanted in (("sweep", SWEEP_COLUMNS), ("space", SPACE_COLUMNS), ("importances", IMPORTANCE_COLUMNS)):
        path = Path(folder) / f"{name}.csv"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: a sweep's folder holds sweep, space and importances.csv")
        text = [c for c in wanted if c in (*SWEEP_TEXT, "setting", "scale", "evaluator")]
        with naming(path):
            table = pd.read_csv(path, dtype=dict.fromkeys(text, "str"))
        missing = [c for c in wanted if c not in table.columns]
        if missing:
            raise Damaged(f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
        for column in text:
            table[column] = table[column].astype("object").where(table[column].notna(), "").astype(str)
        with naming(path):
            for column in set(wanted) - set(text):
                table[column] = pd.to_numeric(table[column])
        tables.append(table)
    if not np.isfinite(tables[0]["score"]).all():
        raise Damaged(f"{folder}/sweep.csv: a run has no score; it counts 0 after a divergence")
    return SweepTables(*tables)


def settings_of(tables: SweepTables, place: str, role: str) -> list[str]:
    """The settings a study swept, in order."""
    space = tables.space
    return list(space.loc[(space["place"] == place) & (space["role"] == role), "setting"])


def trials_of(tables: SweepTables, place: str, role: str, level: float = 0.95) -> pd.DataFrame:
    """One row per trial, in order: its settings, means by half of the seeds, all seeds' interval, length, divergences."""
    runs = tables.runs
    own = runs[(runs["place"] == place) & (runs["role"] == role)]
    names, rows = settings_of(tables, place, role), list[dict[str, Any]]()
    for trial, part in own.groupby("trial"):
        halves = {half: part.loc[part["half"] == half, "score"] for half in (CHOOSING, HELD_BACK)}
        every = student(part["score"], level)
        rows.append(
            {"trial": int(str(trial)), "outcome": part["outcome"].iloc[0]}
            | {name: part[name].iloc[0] for name in names}
            | {"choosing": halves[CHOOSING].mean(), "held_back": halves[HELD_BACK].mean()}
            | {"mean": every.estimate, "low": every.low, "high": every.high, "seeds": len(part)}
            | {"mean_length": part["mean_length"].mean(), "diverged": int((part["state"] == "diverged").sum())}
        )
    return pd.DataFrame(rows, columns=["trial", "outcome", *names, *TRIAL_NUMBERS])


def chosen(trials: pd.DataFrame) -> pd.Series | None:
    """The complete trial with the best mean over the choosing seeds, the earlier one of equals; None without any."""
    complete = trials[trials["outcome"] == "complete"]
    return None if complete.empty else complete.iloc[int(complete["choosing"].to_numpy().argmax())]


def levels(tables: SweepTables, place: str, role: str) -> pd.Series:
    """Trial -> mean score at the level of the complete trials: a pruned one's is the chosen one's mean plus their paired gap.

    A pruned trial ran few seeds, which may be easy or hard ones; its plain mean would stand beside the others' by chance.
    """
    trials, runs = trials_of(tables, place, role), tables.runs
    best = chosen(trials)
    own = runs[(runs["place"] == place) & (runs["role"] == role)]
    scores = own.pivot(index="trial", columns="seed", values="score")
    if best is None:
        return scores.mean(axis=1)
    return best["mean"] + scores.sub(scores.loc[best["trial"]], axis=1).mean(axis=1)


def held_back_scores(tables: SweepTables, place: str, role: str) -> pd.DataFrame:
    """[complete trials, held-back seeds] scores; nan where a run is missing."""
    runs = tables.runs
    own = runs[
        (runs["place"] == place)
        & (runs["role"] == role)
        & (runs["half"] == HELD_BACK)
        & (runs["outcome"] == "complete")
    ]
    return own.pivot(index="trial", columns="seed", values="score")


def shared(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> tuple[Interval, int]:
    """Student interval of the mean of a - b over the seeds both have, and their number."""
    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    both = ~(np.isnan(left) | np.isnan(right))
    return paired(left[both], right[both], level), int(both.sum())


def best_range(
    values: NDArray[np.float64], scores: NDArray[np.float64], best: int, ends: tuple[float, float], level: float = 0.95
) -> Range:
    """Interval of the setting's best value, from held-back scores.

    A tried value is ruled out if the chosen one beats it on held-back seeds, one-sided paired t at `level`; the interval
    reaches from the ruled-out value next below all others to the one next above. Why it covers the best value x* with
    probability `level` or more: say the choice lies below x*. Where scores rise to a single peak and fall, the last value
    tried before x* is no worse than the choice, so it is ruled out with probability 1 - level at most; and if it is not,
    the interval reaches x*. Values and choice must not depend on the held-back seeds.

    Args:
        values: [N] tried values.
        scores: [N, S] scores on the held-back seeds, nan where missing.
        best: index of the chosen value.
        ends: of the searched range.
    """
    kept = np.array([not shared(scores[best], row, 2 * level - 1)[0].low > 0 for row in scores])
    below, above = values[values < values[kept].min()], values[values > values[kept].max()]
    low = below.max() if below.size else ends[0]
    high = above.min() if above.size else ends[1]
    return Range(float(low), float(high), not below.size, not above.size)


def recommendations(tables: SweepTables, level: float = 0.95) -> pd.DataFrame:
    """One row per place, study and swept setting, `FOUND_COLUMNS`; studies without a complete trial have none.

    Of several settings swept together, each interval is over the tried combinations and has no stated rate.
    """
    rows: list[dict[str, Any]] = []
    for place, role in tables.space[["place", "role"]].drop_duplicates().itertuples(index=False):
        trials = trials_of(tables, place, role)
        best = chosen(trials)
        if best is not None:
            rows += _found(tables, place, role, trials, best, level)
    return pd.DataFrame(rows, columns=list(FOUND_COLUMNS)).astype({"pairs": "Int64"})


def _found(
    tables: SweepTables, place: str, role: str, trials: pd.DataFrame, best: pd.Series, level: float
) -> list[dict[str, Any]]:
    held = held_back_scores(tables, place, role)
    own = held.loc[best["trial"]] if best["trial"] in held.index else pd.Series(dtype=float)
    score = student(own.dropna(), level)
    common = {
        "place": place, "role": role, "trial": best["trial"], "mean_length": best["mean_length"],
        "score": score.estimate, "score_low": score.low, "score_high": score.high, "seeds": int(own.notna().sum()),
        "choosing_score": best["choosing"], **_against_constant(tables, place, role, own, level),
    }  # fmt: skip
    rows = []
    for name in settings_of(tables, place, role):
        here = tables.space.query("place == @place and role == @role and setting == @name").iloc[0]
        ends = (float(here["low"]), float(here["high"]))
        reach = Range(*ends, True, True)
        if best["trial"] in held.index:
            values = trials.set_index("trial").loc[held.index, name].to_numpy(float)
            reach = best_range(values, held.to_numpy(float), list(held.index).index(best["trial"]), ends, level)
        rows.append({**common, "setting": name, "value": best[name], **reach._asdict()})
    return rows


def _against_constant(
    tables: SweepTables, place: str, role: str, own: pd.Series, level: float
) -> dict[str, float | int | str]:
    """The difference to the best constant, which the same seeds chose, over the held-back seeds both have."""
    constant = chosen(trials_of(tables, place, CONTROL))
    if role == CONTROL or constant is None:
        return {}
    held = held_back_scores(tables, place, CONTROL)
    if constant["trial"] not in held.index:
        return {}
    left, right = own.align(held.loc[constant["trial"]])
    gap, pairs = shared(left, right, level)
    settings = ", ".join(f"{name} = {constant[name]:.4g}" for name in settings_of(tables, place, CONTROL))
    return {
        "constant": settings, "difference": gap.estimate, "difference_low": gap.low, "difference_high": gap.high,
        "pairs": pairs,
    }  # fmt: skip
