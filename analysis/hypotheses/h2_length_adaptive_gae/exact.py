"""h2a and h2b at the exact level: the best horizon by length, the cost of each form of the rule, sensitivity to alpha."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.hypotheses.exact_tables import arrays, measured
from analysis.hypotheses.h2_length_adaptive_gae.regret import Moments, best_horizon, on_curve, wasted
from analysis.statistics.selection import cross_fitted
from analysis.statistics.slopes import loglog_slope
from analysis.tables.schema import Tables
from analysis.verdict.activity import with_activity
from analysis.verdict.decisions import CONTRADICTED, NOTE, Verdict, verdict
from analysis.verdict.estimates import Estimand, secondary_row
from analysis.verdict.lengths import computed_at
from analysis.verdict.questions import Question

Array = NDArray[np.float64]

BATCH, SIZE = 512, 0.1
"""Responses and deviation of the error in the estimand."""

SAMPLES = 0.10
"""Share of the samples from which a regret matters."""

LEVELS = np.geomspace(1e-4, 1e5, 181)
"""Candidates for the constant of a form: horizon, or alpha, at 20 per decade."""

MIXED = 3
"""Lengths that a mixed batch holds in equal parts: the first, the middle and the last."""


class Curves(NamedTuple):
    """Moments along the horizon of S families, L lengths, H horizons; lambda = 1 left out."""

    horizons: Array
    """[H]"""
    lengths: Array
    """[L] tokens."""
    moments: Moments
    """Each [S, L, H]."""
    truth: Array
    """[S, L] |grad J|^2."""
    shown: Array
    """[S, L] 4 sigma^2 l / v as a batch shows it: what an error-aware rule may look at."""


def h2a(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """1 - beta as declared; then other batches, errors and kinds of length; what each form costs."""
    found = curves(tables, wanted={"growth": "decisions", "error__kind": "state"})
    if found is None:
        return []
    best = horizons_at(found, BATCH)
    inside = float(((best > found.horizons[0]) & (best < found.horizons[-1])).all(1).mean())
    theta = 1 - loglog_slope(found.lengths, best)
    row = verdict(question, "exact", theta, preset, inside >= question.floor.least)
    rows = with_activity([computed_at(row, found.lengths)], inside)
    for what, other, batch in variations(tables, found):
        if other is not None:
            rows += slope_row(question, other, batch, what, preset)
    return rows + regrets(tables, found, question, preset)


def slope_row(question: Question, found: Curves, batch: float, what: str, preset: str) -> list[Verdict]:
    """A secondary slope, with the best horizons that lie at an end of the grid, where a slope is no exponent."""
    best = horizons_at(found, batch)
    ends = (best <= found.horizons[0]) | (best >= found.horizons[-1])
    note = (
        f"{ends.mean():.0%} of the best horizons lie at an end of the grid, {ends[:, 0].mean():.0%} at the shortest and"
        f" {ends[:, -1].mean():.0%} at the longest"
        if ends.any()
        else "no best horizon lies at an end of the grid"
    )
    if (~ends.any(1)).mean() < question.floor.least:
        note += ": no power law"
    named = f"1 - beta, {what}, {found.lengths[0]:,.0f} to {found.lengths[-1]:,.0f} tokens"
    rows = secondary_row(question, "exact", 1 - loglog_slope(found.lengths, best), preset, named)
    for row in rows:
        if what in LINEAR and min(abs(row.low), abs(row.high)) > row.threshold and row.low * row.high > 0:
            note += f"; {CONTRADICTED}: 0 was predicted of it"
    return [row._replace(strata={NOTE: note}) for row in rows]


WORLDS: dict[str, dict[str, object]] = {
    "filler over which the error persists": {"growth": "filler"},
    "everything slower in proportion, self-similar error": {"growth": "slow"},
    "error correlated over 16 positions of one situation": {"growth": "decisions", "error__kind": "autocorrelated"},
    "exact critic (h* = 1 at every length if 1)": {"growth": "decisions", "error__kind": "none", "error__noise": 0.0},
    "values shrunk by half": {"growth": "decisions", "error__kind": "shrinkage"},
    "noise of 0.1 drawn afresh": {"growth": "decisions", "error__kind": "none", "error__noise": 0.1},
}
"""What else length and error are made of -> columns of the runs. On a path a situation is drawn anew at every decision, so
that an error correlated between positions of one situation hardly persists there; over filler, and where all is slower, it
does."""

LINEAR = ("filler over which the error persists", "everything slower in proportion, self-similar error")
"""Where 1 - beta = 0 is predicted."""


def variations(tables: Tables, own: Curves) -> list[tuple[str, Curves | None, float]]:
    """(what, curves, batch) of the secondary slopes."""
    state: dict[str, object] = {"growth": "decisions", "error__kind": "state"}
    found: list[tuple[str, Curves | None, float]] = [(f"B = {batch}", own, float(batch)) for batch in (64, 4096, 32768)]
    for size in (0.03, 0.3):
        found.append((f"error of {size:g}", curves(tables, state, size, several=True), BATCH))
    for what, wanted in WORLDS.items():
        several = wanted["growth"] == "filler"
        found.append((what, curves(tables, wanted, SIZE if several else None, several), BATCH))
    found.append(("the longest", curves(tables, state, far=True), BATCH))
    return found


def curves(
    tables: Tables, wanted: dict[str, object], size: float | None = SIZE, several: bool = False, far: bool = False
) -> Curves | None:
    """Curves of one kind of family, families that have every length; None without any.

    Args:
        tables: of the study.
        wanted: columns of the runs.
        size: deviation of the error, reward; None where there is but one.
        several: the runs with several sizes, in place of those with one.
        far: the runs up to 131,072 tokens.
    """
    runs = measured(tables, "horizon", **wanted)
    if not len(runs):
        return None
    runs = runs[(runs["sizes"].astype(str).str.contains(" ") == several)
                & (runs["lengths"].astype(str).str.contains("131072") == far)]  # fmt: skip
    table = arrays(tables, runs, "horizon")
    if not len(table):
        return None
    chosen = float(table["size"].iloc[0]) if size is None else size
    table = table[np.isclose(table["size"], chosen) & (table["h"] > 0)]
    seen = arrays(tables, runs, "observed")
    return _stack(table, seen[np.isclose(seen["size"], chosen)])


def _stack(table: pd.DataFrame, seen: pd.DataFrame) -> Curves | None:
    """[S, L, H] from long rows."""
    if not len(table):
        return None
    columns = ["along", "power", "log_noise", "log_truth"]
    wide = table.pivot(index=["seed", "length"], columns="h", values=columns)
    lengths = np.sort(table["length"].unique())
    complete = wide.groupby("seed").size() == len(lengths)
    wide = wide.loc[complete[complete].index].sort_index()
    shape = (int(complete.sum()), len(lengths), table["h"].nunique())
    along, power, noise, truth = (wide[name].to_numpy(float).reshape(shape) for name in columns)
    shown = seen.set_index(["seed", "length"]).reindex(wide.index)
    variance = np.maximum(shown["return_variance"].to_numpy(float), 1e-6)
    excess = np.exp(shown["log_excess"].to_numpy(float)) / variance
    lengths_seen = shown.index.get_level_values("length").to_numpy(float)
    ratio = (2 * excess * lengths_seen).reshape(shape[:2])  # the excess is 2 sigma^2 per token
    return Curves(
        np.sort(table["h"].unique()), lengths, Moments(along, power, np.exp(noise)), np.exp(truth[..., 0]), ratio
    )


def horizons_at(found: Curves, batch: float) -> Array:
    """[S, L] horizon of the highest quality."""
    return best_horizon(found.horizons, found.moments.quality(batch))


# --- what each form costs ---

Form = Callable[[Curves, Array], Array]
"""(curves, level of the form [C]) -> horizons [S, L, C]."""


def _spread(found: Curves, values: Array) -> Array:
    """[L, C] for every family."""
    return np.broadcast_to(values, (*found.shown.shape, values.shape[-1]))


FORMS: dict[str, Form] = {
    "VAPO's h = alpha l": lambda found, c: _spread(found, found.lengths[:, None] * c),
    "a constant h": lambda found, c: _spread(found, np.ones((len(found.lengths), 1)) * c),
    "h = c l^(1/3)": lambda found, c: _spread(found, found.lengths[:, None] ** (1 / 3) * c),
    "h from the error that the batch shows": lambda found, c: np.cbrt(BATCH * found.shown)[..., None] * c,
}
"""How each chooses a horizon; every level c is tuned on other families."""


def regret_of(form: Form, found: Curves, batch: float = BATCH) -> Array:
    """[S, C] share of the samples wasted at each level of a form, against the best lambda of each problem, mean over lengths."""
    quality = found.moments.quality(batch)
    top = quality.argmax(-1)[..., None]
    best = Moments(*(np.take_along_axis(x, top, -1) for x in found.moments))
    wanted = np.maximum(form(found, LEVELS), 1.0)
    reached = np.exp(on_curve(found.horizons, np.log(np.maximum(quality, 1e-300)), wanted))
    return wasted(reached, best, batch).mean(1)


def regrets(tables: Tables, own: Curves, question: Question, preset: str) -> list[Verdict]:
    """Each form's regret, its level tuned on the other half of the families, at one error and where errors differ."""
    state: dict[str, object] = {"growth": "decisions", "error__kind": "state"}
    many = [curves(tables, state, size, several=True) for size in (0.03, 0.1, 0.3)]
    cases = (("error of 0.1", [own]), ("errors of 0.03, 0.1 and 0.3 under one level", many))
    return [row for what, parts in cases for row in _regrets(question, [p for p in parts if p], what, preset)]


def _regrets(question: Question, parts: list[Curves], what: str, preset: str) -> list[Verdict]:
    if not parts or len(parts[0].shown) < 2:
        return []
    found = {name: _tuned(np.mean([regret_of(form, part) for part in parts], axis=0)) for name, form in FORMS.items()}
    rows = []
    for name, regret in found.items():
        description = f"share of the samples that {name} wastes, level tuned on other families, {what}"
        rows += secondary_row(question, "exact", regret, preset, Estimand(description, "share of samples", SAMPLES))
    vapo, *others = found
    for name in others:
        description = f"what VAPO's rule wastes beyond {name}, {what}"
        rows += secondary_row(
            question, "exact", found[vapo] - found[name], preset, Estimand(description, "share of samples", SAMPLES)
        )
    return rows


def _tuned(regret: Array, choosing: Array | None = None) -> Array:
    """[S] regret at the level that the other half of the families chose, by another regret if given; splits are equal."""
    by = None if choosing is None else -choosing
    return -cross_fitted(-regret, np.random.default_rng(0), by=by).scores


# --- h2b ---


def h2b(tables: Tables, question: Question, preset: str) -> list[Verdict]:
    """Alpha against a constant where one batch mixes lengths, the width of good alphas, and an alpha tuned on short answers."""
    found = curves(tables, wanted={"growth": "decisions", "error__kind": "state"})
    if found is None or len(found.shown) < 2:
        return []
    alphas, constants = (mixed(FORMS[name], found) for name in ("VAPO's h = alpha l", "a constant h"))
    short_of, long_of = (f"{found.lengths[i]:,.0f} tokens" for i in (0, -1))
    what = f"share of samples that the best alpha wastes beyond the best constant, batches that mix {short_of} to {long_of}"
    rows = secondary_row(
        question, "exact", _tuned(alphas) - _tuned(constants), preset, Estimand(what, "share of samples", SAMPLES)
    )
    for name, regret in (("alpha", alphas), ("a constant", constants)):
        what = f"decades of {name} within 0.10 of the samples of the best, mixed lengths"
        rows += secondary_row(question, "exact", width(regret), preset, Estimand(what, "decades", 1.0))
    first, last = (part_of(found, i) for i in (0, -1))
    for name, form in (("alpha", FORMS["VAPO's h = alpha l"]), ("a constant", FORMS["a constant h"])):
        short, long = regret_of(form, first), regret_of(form, last)
        moved = _tuned(long, short) - _tuned(long)
        what = (
            f"share of samples wasted at {long_of} by {name} tuned at {short_of} beyond one tuned there, both on other"
            " families"
        )
        rows += secondary_row(question, "exact", moved, preset, Estimand(what, "share of samples", SAMPLES))
        ratio = np.log10(LEVELS[long.argmin(1)]) - np.log10(LEVELS[short.argmin(1)])
        what = f"decades from the best {name} at {short_of} to the best at {long_of}"
        rows += secondary_row(question, "exact", ratio, preset, Estimand(what, "decades", 0.5))
    for factor, name in ((0.1, "too short"), (10.0, "too long")):
        what = f"share of samples wasted by a horizon ten times {name}, {long_of}"
        rows += secondary_row(
            question, "exact", off_by(last, factor), preset, Estimand(what, "share of samples", SAMPLES)
        )
    return rows


def off_by(found: Curves, factor: float, batch: float = BATCH) -> Array:
    """[S] share of samples wasted by a horizon that is a factor off the best one, mean over lengths."""
    quality = found.moments.quality(batch)
    top = quality.argmax(-1)[..., None]
    best = Moments(*(np.take_along_axis(x, top, -1) for x in found.moments))
    wanted = np.maximum(found.horizons[top] * factor, 1.0)
    reached = np.exp(on_curve(found.horizons, np.log(np.maximum(quality, 1e-300)), wanted))
    return wasted(reached, best, batch).mean((1, 2))


def part_of(found: Curves, place: int) -> Curves:
    """One length alone."""
    pick = slice(place, place + 1 or None)
    moments = Moments(*(x[:, pick] for x in found.moments))
    return Curves(found.horizons, found.lengths[pick], moments, found.truth[:, pick], found.shown[:, pick])


def mixed(form: Form, found: Curves, batch: float = BATCH) -> Array:
    """[S, C] share of samples wasted, against the best lambda of each length, in a batch that mixes problems of three lengths.

    A third of the responses is of each problem, parameters apart: E g = sum p_i E g_i, E|g|^2 = sum p_i E|g_i|^2.
    """
    pick = np.linspace(0, len(found.lengths) - 1, MIXED).round().astype(int)
    part = Curves(found.horizons, found.lengths[pick], Moments(*(x[:, pick] for x in found.moments)),
                  found.truth[:, pick], found.shown[:, pick])  # fmt: skip
    top = part.moments.quality(batch).argmax(-1)[..., None]
    best = _pooled(Moments(*(np.take_along_axis(x, top, -1) for x in part.moments)), part.truth)
    wanted = np.maximum(form(part, LEVELS), 1.0)
    logs = (np.exp(on_curve(part.horizons, np.log(np.maximum(x, 1e-300)), wanted)) for x in part.moments)
    return wasted(_pooled(Moments(*logs), part.truth).quality(batch), best, batch)


def _pooled(moments: Moments, truth: Array) -> Moments:
    """[S, C] of the mixture, from [S, L, C] in units of each problem's own gradient."""
    share, size = 1 / MIXED, truth[..., None]
    along = (share**2 * moments.along * size).sum(1)
    power = (share**2 * moments.power * size).sum(1)
    square = (share * (moments.power + moments.noise) * size).sum(1)
    total = (share**2 * size).sum(1)
    return Moments(along / total, power / total, (square - power) / total)


def width(regret: Array) -> Array:
    """[S] decades of levels [S, C] that waste at most SAMPLES more than the best."""
    good = regret <= regret.min(1, keepdims=True) + SAMPLES
    return np.asarray(good.sum(1) * np.log10(LEVELS[1] / LEVELS[0]))
