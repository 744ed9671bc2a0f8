"""What was measured of token mean beside sequence mean: which runs, and their ratios along training, by seed."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from analysis.statistics.intervals import student
from analysis.statistics.jackknife import jackknife
from analysis.tables.rows import full_vapo, having, series
from analysis.tables.schema import Tables

TASKS = ("text_walk", "chain")
PRIOR = "dials.trap_prior"
CELLS: dict[str, float] = {"stops early": 0.0, "wanders": -2.0}
"""Cells of the walk: nats the base policy adds to stopping early."""

RATIO, COVARIANCE = "curvature/log_ratio", "curvature/length_covariance_apart"
USEFUL = ("gradient_quality/useful_token", "gradient_quality/useful_sequence")
KL = "kl_per_gain/log_ratio"

Value = Callable[[Tables, pd.DataFrame], np.ndarray]
"""Something measured along runs [S], as [S, steps]; nan where it was not."""


def walks(tables: Tables, cell: str) -> pd.DataFrame:
    """Runs of full VAPO in a cell of the walk, each seed once."""
    found = having(tables.runs, {"world": "walk", **full_vapo()})
    prior = found[PRIOR].fillna(0.0).to_numpy(float) if PRIOR in found else np.zeros(len(found))
    return found[np.isclose(prior, CELLS[cell])].drop_duplicates("seed")


def texts(tables: Tables, task: str) -> pd.DataFrame:
    """Runs of full VAPO on a task of text, each seed once."""
    return having(tables.runs, {"world": "lm", "task": task, **full_vapo()}).drop_duplicates("seed")


def means(tables: Tables, runs: pd.DataFrame, value: Value) -> pd.Series:
    """[S] mean over a run's measurements [S, steps] of those that are there, by seed; runs without any left out."""
    found = value(tables, runs)
    known = np.isfinite(found)
    kept = known.any(1)
    total = np.where(known, found, 0.0).sum(1)[kept] / known.sum(1)[kept]
    return pd.Series(total, index=runs["seed"].to_numpy()[kept], dtype=float)


def metric(name: str) -> Value:
    """[S, steps] one metric."""
    return lambda tables, runs: series(tables, runs["spec"], name).to_numpy(float)


def aligned(tables: Tables, runs: pd.DataFrame, *names: str) -> list[np.ndarray]:
    """[S, steps] several metrics at the steps at which any of them was measured."""
    found = [series(tables, runs["spec"], name) for name in names]
    steps = pd.Index(sorted({step for wide in found for step in wide.columns}))
    return [wide.reindex(columns=steps).to_numpy(float) for wide in found]


def log_over(above: str, below: str) -> Value:
    """[S, steps] log of one metric over another where both are above 0."""

    def value(tables: Tables, runs: pd.DataFrame) -> np.ndarray:
        up, down = aligned(tables, runs, above, below)
        good = (up > 0) & (down > 0)
        return np.where(good, np.log(np.where(good, up, 1.0) / np.where(good, down, 1.0)), np.nan)

    return value


def together(parts: Mapping[str, pd.Series]) -> pd.Series:
    """[S] mean over cells or tasks of seeds that have all of them."""
    return pd.concat(list(parts.values()), axis=1, join="inner").mean(axis=1)


def useful(tables: Tables, runs: Mapping[str, pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Q |grad J|^2 of token mean and of sequence mean, [S, places] each, places = tasks x steps; seeds of all tasks."""
    found = []
    for name in USEFUL:
        parts = []
        for task, part in runs.items():
            wide = series(tables, part["spec"], name)
            parts.append(
                pd.DataFrame(wide.to_numpy(float), part["seed"].to_numpy(), [f"{task} {x}" for x in wide.columns])
            )
        found.append(pd.concat(parts, axis=1, join="inner").dropna(how="all").to_numpy(float))
    return found[0], found[1]


def log_useful(token: np.ndarray, sequence: np.ndarray, rows: np.ndarray) -> float:
    """Mean over places of log[mean over seeds of token / the same of sequence]; nan where a mean is not above 0."""
    known = np.isfinite(token[rows]) & np.isfinite(sequence[rows])
    above, below = (np.where(known, x[rows], 0.0).sum(0) for x in (token, sequence))
    if not len(above) or min(above.min(), below.min()) <= 0:
        return float("nan")
    return float(np.mean(np.log(above / below)))


def clear(token: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    """[places] those at which both means over seeds are above 0, and stay so whichever seed is left out.

    A mean that one seed holds above 0 has no jackknife.
    """
    known = np.isfinite(token) & np.isfinite(sequence)
    good = np.ones(token.shape[1], bool)
    for x in (token, sequence):
        kept = np.where(known, x, 0.0)
        without = kept.sum(0) - kept if len(kept) > 1 else kept
        good &= (kept.sum(0) > 0) & (without > 0).all(0)
    return good


def points(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """A row per measurement with a ratio: seed, covariance, log ratio."""
    ratio, covariance = aligned(tables, runs, RATIO, COVARIANCE)
    seed = np.broadcast_to(runs["seed"].to_numpy()[:, None], ratio.shape)
    long = {"seed": seed.ravel(), "covariance": covariance.ravel(), "log_ratio": ratio.ravel()}
    return pd.DataFrame(long).dropna().reset_index(drop=True)


def usefulness(tables: Tables, task: str, runs: pd.DataFrame) -> pd.DataFrame:
    """A row per step: log ratio of useful power with a 95 % interval, and what R6 gives."""
    token, sequence = (series(tables, runs["spec"], name) for name in USEFUL)
    formula = series(tables, runs["spec"], "gradient_quality/log_variance_predicted")
    rows = []
    for step in token.columns:
        t, s = (x[[step]].to_numpy(float) for x in (token, sequence))
        kept = np.isfinite(t[:, 0])
        t, s = t[kept], s[kept]
        if len(t):
            interval = jackknife(partial(log_useful, t, s), np.arange(len(t)))
            rows.append((task, step, *interval, len(t), -float(formula[step].mean()) if step in formula else np.nan))
    names = ["step", "log_ratio", "low", "high", "seeds", "formula"]
    return pd.DataFrame(rows, columns=["task", *names]).astype(dict.fromkeys(names, float))


def prices(tables: Tables, task: str, runs: pd.DataFrame) -> pd.DataFrame:
    """A row per credit and step: mean log ratio of KL per gain with a 95 % interval."""
    rows = []
    for credit, name in (("the recipe's credit", KL), ("lambda = 1", f"{KL}_mc")):
        wide = series(tables, runs["spec"], name)
        for step in wide.columns:
            values = wide[step].dropna()
            if len(values):
                rows.append((task, credit, step, *student(values), len(values)))
    names = ["step", "log_ratio", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=["task", "credit", *names]).astype(dict.fromkeys(names, float))
