"""Response lengths behind an estimate: the same effect at 8 and at 500 tokens is not the same finding."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.tables.terminal import NONE
from analysis.verdict.decisions import Verdict


def with_lengths(rows: Sequence[Verdict], runs: pd.DataFrame) -> list[Verdict]:
    """The rows with the mean length, and on the walk the mean decisions, of these runs; rows that have a length keep theirs.

    A judge calls it with the runs of `runs.csv` from which it made the rows, every arm of the contrast included. Each run
    counts once. Runs of the exact level have no sampled answers: see `computed_at`.
    """
    if not rows:
        return []
    tokens, decisions = mean_length(runs), mean_decisions(runs)
    return [
        row if np.isfinite(row.mean_length) else row._replace(mean_length=tokens, mean_decisions=decisions)
        for row in rows
    ]


def computed_at(row: Verdict, lengths: Sequence[float] | np.ndarray) -> Verdict:
    """A row of the exact level with the geometric mean of the lengths it was computed at, tokens, as slopes are on its log."""
    return row._replace(mean_length=float(np.exp(np.mean(np.log(lengths)))))


def mean_length(runs: pd.DataFrame) -> float:
    """Mean over runs of the mean response length, tokens, stop token included; nan without runs."""
    return _mean(_tokens(runs))


def mean_decisions(runs: pd.DataFrame) -> float:
    """Mean over runs of world walk of decisions a response: (tokens - 1) / (1 + filler) + 1; nan for other worlds.

    Every move is followed by `filler` forced tokens; the last decision, to stop, by none.
    """
    if "world" not in runs or not (len(runs) and (runs["world"] == "walk").all()):
        return float("nan")
    filler = runs["dials.filler"].fillna(0).astype(float) if "dials.filler" in runs else 0.0
    return _mean((_tokens(runs) - 1) / (1 + filler) + 1)


def shown(row: Verdict) -> str:
    """`64 tokens`, on the walk with filler `64 tokens, 8 decisions`; `NONE` where it is not known."""
    if not np.isfinite(row.mean_length):
        return NONE
    tokens = f"{row.mean_length:.3g} tokens"
    apart = np.isfinite(row.mean_decisions) and abs(row.mean_decisions - row.mean_length) > 0.01 * row.mean_length
    return f"{tokens}, {row.mean_decisions:.3g} decisions" if apart else tokens


def _tokens(runs: pd.DataFrame) -> pd.Series:
    """[N] tokens of every run."""
    known = pd.to_numeric(runs["mean_length"], errors="coerce")
    if "lengths" not in runs:
        return known
    listed = runs["lengths"].map(lambda text: _mean(pd.Series(str(text).split(), dtype=object)))
    return known.fillna(listed)


def _mean(values: pd.Series) -> float:
    found = pd.to_numeric(values, errors="coerce").dropna()
    return float(found.mean()) if len(found) else float("nan")
