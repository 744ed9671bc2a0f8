"""Planted errors, as probe `credit` records them in probes.parquet, and the decrease of their blame with length."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.tables.schema import Tables

BINS = 4


class Blame(NamedTuple):
    """Planted errors as probe `credit` left them after the last step."""

    errors: pd.DataFrame
    """A row per error: seed, length (tokens) and the probe's measures, nan where there was no blame."""

    @classmethod
    def of(cls, tables: Tables, runs: pd.DataFrame) -> "Blame":
        """Of these runs; empty where no arrays were read."""
        arrays = tables.probes
        steps = dict(zip(runs["spec"], runs["steps"], strict=True))
        keep = ((arrays["probe"] == "credit") & arrays["spec"].isin(list(steps))).to_numpy(bool)
        part = arrays[keep]
        part = part[(part["step"].to_numpy(float) == part["spec"].astype(str).map(steps).to_numpy(float))]
        if not len(part):
            return cls(pd.DataFrame(columns=["seed", "length", "share", "share_exact", "auroc"], dtype=float))
        wide = part.astype({"spec": str, "column": str}).pivot(index=["spec", "item"], columns="column", values="value")
        wide = wide.reset_index(level="spec")
        seeds = dict(zip(runs["spec"], runs["seed"], strict=True))
        return cls(wide.assign(seed=wide["spec"].map(seeds)))

    def slopes(self, column: str) -> np.ndarray:
        """[S] minus the slope of log mean share on log mean length over bins of equal count, a seed at a time."""
        return np.array([slope for _, slope in self._slopes(column)])

    def seeds(self, column: str) -> list[int]:
        """[S] of which `slopes` speaks."""
        return [seed for seed, _ in self._slopes(column)]

    def mean(self, column: str) -> np.ndarray:
        """[S] mean of a measure."""
        if column not in self.errors:
            return np.empty(0)
        return self.errors.groupby("seed")[column].mean().dropna().to_numpy()

    def _slopes(self, column: str) -> list[tuple[int, float]]:
        if column not in self.errors:
            return []
        found = []
        for seed, part in self.errors.groupby("seed"):
            binned = binned_share(part["length"].to_numpy(float), part[column].to_numpy(float))
            if len(binned) > 1:
                across, up = np.log(binned).T
                found.append((int(np.asarray(seed)), -float(np.polyfit(across, up, 1)[0])))
        return found


def binned_share(length: np.ndarray, share: np.ndarray) -> np.ndarray:
    """[bins, 2] mean length and mean share in bins of equal count by length; bins without blame are left out."""
    known = ~np.isnan(share)
    length, share = length[known], share[known]
    if not length.size:
        return np.empty((0, 2))
    edges = np.quantile(length, np.arange(1, BINS) / BINS)
    place = np.searchsorted(edges, length, side="left")
    rows = [(length[place == b].mean(), share[place == b].mean()) for b in range(BINS) if (place == b).any()]
    return np.array([row for row in rows if row[1] > 0]).reshape(-1, 2)
