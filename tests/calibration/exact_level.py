"""The exact level with a known answer: arrays of sampled families in which an effect of a given size is planted.

Spreads are those of development families (seeds below 1000). Studies whose questions are judged here name these functions
in their own `SIMULATIONS`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.tables.schema import Tables
from experiments.exact_level.plans import Bias, Blame, Horizon
from experiments.specs.exact import ExactSpec
from experiments.studies import exact
from tests.calibration.planting import frame_of, tables
from tests.support.exact_runs import ALL


def _specs(specs: tuple[ExactSpec, ...], wanted: Callable[[ExactSpec], bool]) -> pd.DataFrame:
    return frame_of([spec for spec in specs if wanted(spec)])


FULL = {stem: ALL[stem]("full") for stem in ("h1", "h2", "h7")}
BIAS_RUNS = _specs(FULL["h1"], lambda s: isinstance(s.plan, Bias) and s.plan.error == exact.STATE)
HORIZON_RUNS = _specs(FULL["h2"], lambda s: s.plan == Horizon(measure="horizon"))
BLAME_RUNS = _specs(FULL["h7"], lambda s: s.plan == Blame(measure="blame"))


def arrays(runs: pd.DataFrame, parts: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """probes.parquet of one table per name: columns [N, items] for N runs, or [items] where they do not differ."""
    pieces, count = [], len(runs)
    for table, columns in parts.items():
        items = max(np.shape(x)[-1] for x in columns.values())
        for name, values in columns.items():
            pieces.append((f"exact/{table}", name, items, np.broadcast_to(values, (count, items)).ravel()))
    sizes = [len(values) for *_, values in pieces]
    spec = np.concatenate([np.repeat(np.arange(count), items) for _, _, items, _ in pieces])
    whole = {
        "spec": pd.Categorical.from_codes(spec, runs["spec"].tolist()),
        "step": np.zeros(sum(sizes), int),
        "probe": _repeated([table for table, *_ in pieces], sizes),
        "item": np.concatenate([np.tile(np.arange(items), count) for _, _, items, _ in pieces]),
        "column": _repeated([name for _, name, *_ in pieces], sizes),
        "value": np.concatenate([values for *_, values in pieces]),
    }
    return pd.DataFrame(whole)


def _repeated(words: list[str], times: list[int]) -> pd.Categorical:
    """Each word so many times, as columns of text are kept."""
    names = list(dict.fromkeys(words))
    return pd.Categorical.from_codes(np.repeat([names.index(word) for word in words], times), names)


BIAS_CV = {"False": 0.8, "True": 0.5}
"""Standard deviation over mean of the relative bias between families, by whether lengths vary; it is skewed."""
ROUNDING = 1e-4


def h1b(theta: float, rng: np.random.Generator) -> Tables:
    """Relative bias at lambda 0.95 and 64 tokens: gamma over families with mean theta at an error of 0.1, linear in it."""
    sizes = np.array([0.0, 0.05, 0.1, 0.2])
    cv = BIAS_RUNS["variable"].astype(str).map(BIAS_CV).to_numpy(float)
    per_tenth = rng.gamma(1 / cv**2, theta * cv**2) if theta else np.zeros(len(cv))
    per_tenth += np.abs(rng.normal(0, ROUNDING, len(cv)))
    bias = per_tenth[:, None] * sizes / 0.1
    columns = {"length": np.full(4, 64.0), "size": sizes, "lambda": np.full(4, 0.95), "bias": bias, "noise": 5 + bias}
    spread = {"length": np.array([64.0]), "spread": 0.08 + 0.01 * rng.normal(size=(len(cv), 1))}
    return tables(BIAS_RUNS, probes=arrays(BIAS_RUNS, {"bias": columns, "problems": spread}))


LENGTHS = np.array([64.0, 256.0, 1024.0, 4096.0, 16384.0])
HORIZONS = np.geomspace(1, 1e5, 24)
HORIZON_SD, LEVEL_SD = 0.35, 0.4
"""Of log h* at one length, and of its level in one family."""


def h2a(theta: float, rng: np.random.Generator, level: float = 10.0, sd: float = HORIZON_SD) -> Tables:
    """Q at 512 responses with its top at h* = level (l/64)^(1 - theta), each family and length off by its own factor."""
    count = len(HORIZON_RUNS)
    own = sd * rng.normal(size=(count, 5)) + sd / HORIZON_SD * LEVEL_SD * rng.normal(size=(count, 1))
    best = np.log(level) + (1 - theta) * np.log(LENGTHS / LENGTHS[0]) + own
    distance = np.log(HORIZONS) - best[:, :, None]
    noise = 512 * (0.1 + 0.05 * (np.exp(np.clip(distance, -5, 5)) + np.exp(-2 * np.clip(distance, -5, 5))))
    shape = (count, 5 * len(HORIZONS))
    columns = {
        "length": np.repeat(LENGTHS, len(HORIZONS)), "size": np.full(shape[1], 0.1), "h": np.tile(HORIZONS, 5),
        "along": np.ones(shape[1]), "power": np.ones(shape[1]), "log_noise": np.log(noise).reshape(shape),
        "log_truth": np.zeros(shape[1]),
    }  # fmt: skip
    seen = {"length": LENGTHS, "size": np.full(5, 0.1), "return_variance": np.full(5, 0.2),
            "log_excess": np.log(0.02) + 0.1 * rng.normal(size=(count, 5))}  # fmt: skip
    return tables(HORIZON_RUNS, probes=arrays(HORIZON_RUNS, {"horizon": columns, "observed": seen}))


TOKENS = np.array([512.0, 2048.0, 8192.0, 32768.0, 131072.0])
SHARE_SD = 0.25
"""Of log share at one length: families differ in how much else happens."""


def h7a(theta: float, rng: np.random.Generator, first: float = 0.28, sd: float = SHARE_SD) -> Tables:
    """Mean share of blame falling as l^(-theta) from 512 tokens on, at most 1."""
    count = len(BLAME_RUNS)
    log_share = np.log(first) - theta * np.log(TOKENS / TOKENS[0]) + sd * rng.normal(size=(count, 5))
    columns = {
        "length": TOKENS, "alpha": np.full(5, 0.05), "lambda": 1 - 1 / (0.05 * TOKENS),
        "log_share": np.minimum(log_share, 0.0), "precision": np.ones(5), "auroc": np.ones(5),
        "auroc_early": np.ones(5), "lost": 0.3 + 0.1 * rng.normal(size=(count, 1)) * np.ones(5),
    }  # fmt: skip
    return tables(BLAME_RUNS, probes=arrays(BLAME_RUNS, {"blame": columns}))


SIMULATIONS = {"h1b": h1b, "h2a": h2a, "h7a": h7a}
