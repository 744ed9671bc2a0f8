"""Measurements under token mean and sequence mean: which runs have them, and their ratios during training, by seed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.statistics.jackknife import jackknife
from analysis.tables.rows import full_vapo, having, series
from analysis.tables.schema import Tables

TASKS = ("text_walk", "chain")
PRIOR = "dials.trap_prior"
CELLS: dict[str, float] = {"stops early": 0.0, "wanders": -6.0}
"""Cells of the walk: nats the base policy adds to stopping early."""
PLACES = (0, 5, 10)
"""RL steps at which everything is measured, fixed before the runs."""
STRATA = ("covariance above 0", "covariance below 0")

RATIO, COVARIANCE = "curvature/log_ratio", "curvature/length_covariance_apart"
USEFUL = ("gradient_quality/useful_token", "gradient_quality/useful_sequence")
NOISE = tuple(
    f"gradient_quality/{name}" for name in ("trace_sequence", "square_token", "trace_token", "square_sequence")
)
"""Noise over signal, sequence mean over token mean: the product of the first two over that of the last two."""
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


def at_places(tables: Tables, runs: Mapping[str, pd.DataFrame], *names: str) -> list[np.ndarray]:
    """Metrics as [S, places] each, places = tasks x `PLACES`, of the seeds that have every metric of every place."""
    found = []
    for name in names:
        parts = []
        for task, part in runs.items():
            wide = series(tables, part["spec"], name).reindex(columns=list(PLACES))
            parts.append(pd.DataFrame(wide.to_numpy(float), part["seed"].to_numpy(), [f"{task} {x}" for x in PLACES]))
        found.append(pd.concat(parts, axis=1, join="inner"))
    complete = np.logical_and.reduce([wide.notna().all(axis=1).to_numpy() for wide in found])
    return [wide.to_numpy(float)[complete] for wide in found]


def log_of_means(above: Sequence[np.ndarray], below: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """[places] sum of logs of means over seeds of `above`, minus that of `below`, [S, places] each; nan where one is not > 0."""
    if not len(rows):
        return np.full(above[0].shape[1], np.nan)
    up, down = (np.stack([x[rows].mean(0) for x in given]) for given in (above, below))
    good = (up > 0).all(0) & (down > 0).all(0)
    logs = [np.log(np.where(good, x, 1.0)).sum(0) for x in (up, down)]
    return np.where(good, logs[0] - logs[1], np.nan)


def mean_log(above: Sequence[np.ndarray], below: Sequence[np.ndarray], places: Sequence[str], level: float) -> Interval:
    """Mean over places of `log_of_means` with its interval, a seed left out at a time.

    Raises:
        NoEstimate: naming the places where a mean over seeds is not above 0; none is left out.
    """
    rows = np.arange(len(above[0]))
    undefined = [name for name, x in zip(places, log_of_means(above, below, rows), strict=True) if not np.isfinite(x)]
    if undefined:
        raise NoEstimate(f"a mean over seeds is not above 0 at {', '.join(undefined)}")
    return jackknife(lambda kept: float(log_of_means(above, below, kept).mean()), rows, level)


def by_stratum(tables: Tables, runs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """[S, 2] a seed's mean log ratio where the covariance is above 0, and where it is below; nan where it never is.

    Of the seeds that every cell has a ratio of.
    """
    part = pd.concat([points(tables, x).assign(cell=number) for number, x in enumerate(runs)], ignore_index=True)
    everywhere = part.groupby("seed")["cell"].nunique() == len(runs)
    part = part[part["seed"].isin(everywhere.index[everywhere]) & (part["covariance"] != 0)]
    named = part.assign(stratum=np.where(part["covariance"] > 0, *STRATA))
    wide = named.groupby(["seed", "stratum"])["log_ratio"].mean().unstack()
    return wide.reindex(columns=list(STRATA))


def half_difference(wide: np.ndarray, rows: np.ndarray) -> float:
    """Half of the mean of column 0 minus that of column 1, [S, 2], each over the rows that have it; nan where none has."""
    columns = [x[np.isfinite(x)] for x in wide[rows].T]
    return float((columns[0].mean() - columns[1].mean()) / 2) if all(map(len, columns)) else float("nan")


def points(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """A row per measurement with a ratio: seed, covariance, log ratio."""
    ratio, covariance = aligned(tables, runs, RATIO, COVARIANCE)
    seed = np.broadcast_to(runs["seed"].to_numpy()[:, None], ratio.shape)
    long = {"seed": seed.ravel(), "covariance": covariance.ravel(), "log_ratio": ratio.ravel()}
    return pd.DataFrame(long).dropna().reset_index(drop=True)


def noise(tables: Tables, task: str, runs: pd.DataFrame) -> pd.DataFrame:
    """A row per place: log ratio of noise over signal with a 95 % interval, and what R6 gives for the variance alone."""
    parts = at_places(tables, {task: runs}, *NOISE)
    formula = at_places(tables, {task: runs}, "gradient_quality/log_variance_predicted")[0]
    rows = []
    for number, step in enumerate(PLACES):
        one = [x[:, [number]] for x in parts]
        try:
            interval = mean_log(one[:2], one[2:], [task], 0.95)
        except NoEstimate:
            continue
        seeds = len(one[0])
        rows.append((task, step, *interval, seeds, -float(formula[:, number].mean()) if len(formula) else np.nan))
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
