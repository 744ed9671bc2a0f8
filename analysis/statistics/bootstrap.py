"""Bootstrap intervals for data that come in clusters (prefixes of one prompt, prompts of one seed)."""

from collections.abc import Callable

import numpy as np

from analysis.statistics.intervals import Interval


def cluster_bootstrap(
    statistic: Callable[[np.ndarray], float],
    clusters: np.ndarray,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic when whole clusters are resampled with replacement.

    Args:
        statistic: takes row indices, [n] int with repeats, and returns a number.
        clusters: [N] label of each row's cluster. 20 of them cover 91 to 92 %, 64 cover 93 to 95 % where 95 % is wanted.
        rng: explicit generator, so that an interval can be had again.
        draws: bootstrap samples.
        level: nominal coverage, in (0, 1).

    Returns:
        The statistic on all rows, with the interval.

    Raises:
        ValueError: with fewer than two clusters.
    """
    names, members = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"a cluster bootstrap needs at least 2 clusters, got {len(names)}")
    rows = [np.flatnonzero(members == number) for number in range(len(names))]
    found = [
        statistic(np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])) for _ in range(draws)
    ]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(np.arange(len(clusters))), float(low), float(high))


def nested_bootstrap(
    statistic: Callable[[np.ndarray], float],
    outer: np.ndarray,
    inner: np.ndarray,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval when outer clusters (seeds) and, within each drawn one, inner clusters (prompts) are resampled.

    Drawing within the drawn counts the inner noise twice: the variance of a mean is (between + 2 within / m) / n for n
    outer clusters of m inner ones where (between + within / m) / n is right, so the interval is too wide where seeds
    hardly differ and right where prompts are many. Drawing whole seeds alone (`cluster_bootstrap`) has no such excess;
    this one is for few prompts whose choice is part of the question.

    Args:
        statistic: takes row indices, [n] int with repeats, and returns a number.
        outer: [N] label of each row's outer cluster.
        inner: [N] label of its inner cluster; equal labels in different outer clusters are different clusters.
        rng: explicit generator.
        draws: bootstrap samples.
        level: nominal coverage, in (0, 1).

    Raises:
        ValueError: with fewer than two outer clusters.
    """
    names = np.unique(outer)
    if len(names) < 2:
        raise ValueError(f"a nested bootstrap needs at least 2 outer clusters, got {len(names)}")
    nests = [[np.flatnonzero((outer == name) & (inner == part)) for part in np.unique(inner[outer == name])]
             for name in names]  # fmt: skip

    def rows() -> np.ndarray:
        drawn = (nests[i] for i in rng.integers(len(nests), size=len(nests)))
        return np.concatenate([parts[j] for parts in drawn for j in rng.integers(len(parts), size=len(parts))])

    found = [statistic(rows()) for _ in range(draws)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(np.arange(len(outer))), float(low), float(high))
