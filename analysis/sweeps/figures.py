"""The figures of a sweep: history, slices with intervals, and contours over two axes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from analysis.plots.drawing import ACCENT, COLOURS, GREY, INK, Drawing, canvas
from analysis.sweeps.sweep import (
    CONTROL,
    MAIN,
    SweepTables,
    chosen,
    held_back_scores,
    levels,
    settings_of,
    shared,
    trials_of,
)
from analysis.tables.schema import SCORE_LABELS

SIGNS = {MAIN: (ACCENT, "o"), CONTROL: (COLOURS["ppo"], "s")}
LEVELS = 12
LEGEND = "dots: mean, 95 % Student interval\nhollow: pruned, by its paired gap\nline: chosen; band: interval of the best value"


def history(tables: SweepTables, place: str) -> Drawing:
    """Mean score of every trial over its choosing seeds, in order, and the best so far; pruned trials are hollow."""
    shown = []
    with canvas(8.4, 3.2) as figure:
        axes = figure.subplots()
        for role in roles_of(tables, place):
            trials = trials_of(tables, place, role)
            colour = SIGNS[role][0]
            complete = (trials["outcome"] == "complete").to_numpy()
            trials["best_so_far"] = trials["choosing"].where(complete).cummax().ffill()
            label = " x ".join(settings_of(tables, place, role))
            axes.plot(trials["trial"], trials["best_so_far"], color=colour, drawstyle="steps-post", linewidth=1.2)
            _dots(axes, trials["trial"], trials["choosing"], complete, role, label)
            shown.append(trials.assign(role=role)[["role", "trial", "outcome", "choosing", "best_so_far"]])
        axes.set(xlabel="trial", ylabel=f"AUC of {_score(tables)},\nmean over choosing seeds")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(
            loc="outside right center", frameon=False, title="filled: complete\nhollow: pruned\nline: best so far"
        )
    return Drawing(figure, pd.concat(shown, ignore_index=True), "Score of every trial in order, and the best so far.")


def slices(tables: SweepTables, place: str, role: str, found: pd.DataFrame) -> Drawing:
    """Per swept setting: score, paired difference to the chosen trial, and mean length, each against the setting.

    `found` is of `sweep.recommendations`; the band is the interval of the best value, the line the chosen one.
    """
    trials, names = trials_of(tables, place, role), settings_of(tables, place, role)
    gaps = gaps_to_chosen(tables, place, role)
    trials["level"] = levels(tables, place, role).reindex(trials["trial"]).to_numpy()
    complete = trials[trials["outcome"] == "complete"]
    with canvas(max(4.8, 3.6 * len(names)), 6.4) as figure:
        grid = figure.subplots(3, len(names), sharex="col", sharey="row", squeeze=False)
        for column, name in zip(grid.T, names, strict=True):
            scale = _scale(tables, place, role, name)
            _mark_range(column, found, place, role, name, scale)
            _score_panel(column[0], trials, on_axis(trials[name], scale), role)
            x = on_axis(gaps[name], scale)
            _bars(column[1], x, gaps[["difference", "difference_low", "difference_high"]], SIGNS[role])
            column[1].axhline(0, color=INK, linewidth=0.8)
            _dots(column[2], on_axis(complete[name], scale), complete["mean_length"], complete["trial"] >= 0, role)
            column[2].set_xlabel(_label(name, scale))
            if scale != "linear":
                column[2].set_xscale("log")
        grid[0, 0].set_ylabel(f"AUC of\n{_score(tables)}")
        grid[1, 0].set_ylabel("difference to chosen,\nheld-back pairs, 90 %")
        grid[2, 0].set_ylabel("mean response\nlength, tokens")
        grid[0, 0].set_title(LEGEND, loc="left")
    data = trials.merge(gaps.drop(columns=names), on="trial", how="left")
    return Drawing(figure, data, f"Score, paired difference and mean length against {', '.join(names)}.")


def gaps_to_chosen(tables: SweepTables, place: str, role: str) -> pd.DataFrame:
    """Complete trials minus the chosen one, paired over held-back seeds.

    The Student intervals are of 90 %: one that ends below 0 is a value ruled out at 5 %, one-sided.
    """
    trials, names = trials_of(tables, place, role), settings_of(tables, place, role)
    held, best, rows = held_back_scores(tables, place, role), chosen(trials), []
    for _, own in trials.iterrows():
        trial = own["trial"]
        if best is not None and {trial, best["trial"]} <= set(held.index) and trial != best["trial"]:
            gap, pairs = shared(held.loc[trial], held.loc[best["trial"]], 0.9)
            rows.append((trial, *own[names], gap.estimate, gap.low, gap.high, pairs))
    return pd.DataFrame(
        rows, columns=["trial", *names, "difference", "difference_low", "difference_high", "difference_pairs"]
    )


def contour(tables: SweepTables, place: str, role: str, pair: tuple[str, str]) -> Drawing | None:
    """Mean score over two settings swept together, between the complete trials; None if they span no area."""
    trials = trials_of(tables, place, role)
    complete = trials[trials["outcome"] == "complete"].reset_index(drop=True)
    scales = [_scale(tables, place, role, name) for name in pair]
    best = chosen(trials)
    return _contour(
        complete, pair, scales, "mean", f"AUC of {_score(tables)}", None if best is None else [best[n] for n in pair]
    )


def length_contour(tables: SweepTables, setting: str) -> Drawing | None:
    """Score over a setting and mean response length, from searches at several places; None with a single place.

    The colour is the difference to the best trial of the same place: places differ in difficulty. A place stands at the
    mean length of its trials.
    """
    parts = []
    for place in tables.space["place"].unique():
        trials = trials_of(tables, place, MAIN)
        trials = trials[trials["outcome"] == "complete"]
        if len(trials):
            loss, length = trials["mean"] - trials["mean"].max(), trials["mean_length"].mean()
            parts.append(trials.assign(place=place, loss=loss, own_length=trials["mean_length"], mean_length=length))
    if len(parts) < 2:
        return None
    points, scale = pd.concat(parts, ignore_index=True), _scale(tables, parts[0]["place"].iloc[0], MAIN, setting)
    label = f"AUC of {_score(tables)}, \nminus the best at that length"
    return _contour(points, (setting, "mean_length"), [scale, "linear"], "loss", label, None)


def on_axis(values: pd.Series, scale: str) -> NDArray[np.float64]:
    """Where values stand on an axis: themselves, or for a lambda its horizon."""
    raw = values.to_numpy(float)
    return 1 / (1 - raw) if scale == "horizon" else raw


def _contour(
    points: pd.DataFrame,
    names: tuple[str, str],
    scales: Sequence[str],
    score: str,
    label: str,
    best: list[float] | None,
) -> Drawing | None:
    x, y = (on_axis(points[name], scale) for name, scale in zip(names, scales, strict=True))
    flat = [np.log(v) if s != "linear" else v for v, s in zip((x, y), scales, strict=True)]
    if len(points) < 4 or min(v.std() for v in flat) < 1e-9:
        return None
    spread = np.stack([(v - v.mean()) / v.std() for v in flat])
    if np.linalg.matrix_rank(spread, tol=1e-6) < 2:
        return None
    with canvas(6.4, 4.2) as figure:
        axes = figure.subplots()
        mesh = Triangulation(x, y, Triangulation(*spread).triangles)
        shades = axes.tricontourf(mesh, points[score].to_numpy(float), levels=LEVELS, cmap="viridis")
        axes.plot(x, y, "o", color="white", markeredgecolor=INK, markersize=3.5, markeredgewidth=0.6)
        if best is not None:
            star = [float(on_axis(pd.Series([v]), s)[0]) for v, s in zip(best, scales, strict=True)]
            axes.plot(*star, "*", color="white", markeredgecolor=INK, markersize=13)
        for name, scale, which in zip(names, scales, ("x", "y"), strict=True):
            axes.set(
                **{f"{which}label": _label(name, scale), f"{which}scale": "linear" if scale == "linear" else "log"}
            )
        axes.use_sticky_edges = False
        axes.margins(0.04)
        figure.colorbar(shades, label=label)
        axes.set_title("dots: complete trials, linear between them" + ("; star: chosen" if best else ""), loc="left")
    return Drawing(figure, points, f"{' '.join(label.split())} over {names[0]} and {names[1]}, between the trials.")


def _score_panel(axes: Axes, trials: pd.DataFrame, x: NDArray[np.float64], role: str) -> None:
    complete = (trials["outcome"] == "complete").to_numpy()
    _bars(axes, x[complete], trials.loc[complete, ["mean", "low", "high"]], SIGNS[role])
    _dots(axes, x[~complete], trials.loc[~complete, "level"], complete[~complete], role)


def _bars(
    axes: Axes, x: NDArray[np.float64], bounds: pd.DataFrame, style: tuple[tuple[float, float, float], str]
) -> None:
    """Estimates with intervals, from three columns; no bar where a bound is nan."""
    mean, low, high = bounds.to_numpy(float).reshape(-1, 3).T
    axes.errorbar(
        x, mean, yerr=[mean - low, high - mean], fmt=style[1], color=style[0], capsize=2, markersize=4, linewidth=1
    )


def _dots(
    axes: Axes, x: pd.Series | NDArray[np.float64], y: pd.Series, filled: pd.Series | NDArray[np.bool_], role: str,
    label: str = "",
) -> None:  # fmt: skip
    colour, sign = SIGNS[role]
    full = np.asarray(filled, dtype=bool)
    at, height = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    axes.plot(at[full], height[full], sign, color=colour, markersize=4.5, label=label or None)
    axes.plot(at[~full], height[~full], sign, color=colour, markersize=4.5, fillstyle="none")


def _mark_range(column: Sequence[Axes], found: pd.DataFrame, place: str, role: str, name: str, scale: str) -> None:
    here = found.query("place == @place and role == @role and setting == @name")
    for _, row in here.iterrows():
        low, high, value = on_axis(row[["low", "high", "value"]], scale)
        for axes in column:
            axes.axvspan(low, high, color=GREY, alpha=0.15, linewidth=0)
            axes.axvline(value, color=GREY, linewidth=1)


def roles_of(tables: SweepTables, place: str) -> list[str]:
    """The studies of a place that have a run."""
    here = tables.space.loc[tables.space["place"] == place, "role"]
    return [role for role in dict.fromkeys(here) if len(trials_of(tables, place, role))]


def _scale(tables: SweepTables, place: str, role: str, name: str) -> str:
    return str(tables.space.query("place == @place and role == @role and setting == @name")["scale"].iloc[0])


def _label(name: str, scale: str) -> str:
    if name == "mean_length":
        return "mean response length, tokens"
    return f"horizon 1 / (1 − {name}), tokens" if scale == "horizon" else name


def _score(tables: SweepTables) -> str:
    metric = str(tables.runs["metric"].iloc[0])
    return SCORE_LABELS.get(metric, metric)
