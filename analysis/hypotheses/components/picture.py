"""The main figure: the effect of each component against response length, removed from VAPO and added to PPO."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from analysis.hypotheses.components import complementarity
from analysis.hypotheses.components.cells import Cells
from analysis.hypotheses.components.tables import PLACES, Pairs, added, pairs
from analysis.plots.drawing import GREY, INK, Drawing, canvas
from analysis.statistics.intervals import Interval, NoEstimate, student
from analysis.tables.regimes import FAILING, Regime
from analysis.tables.schema import COMPONENTS
from analysis.verdict.lengths import mean_length

COLUMNS = ("world", "what", "component", "regimes", "tokens", "mean_length", "effect", "low", "high", "seeds", "note")
TAKEN, ADDED, RATIO, ORDINARY = "taken from VAPO", "added to PPO", "complementarity", "ordinary"

COLOUR = dict(zip((TAKEN, ADDED), sns.color_palette("colorblind"), strict=False))
LINE = {"walk": "-", "lm": ":"}
MARK = {"walk": "o", "lm": "s"}


def worth(cells: Cells) -> pd.DataFrame:
    """A row per component, world, length and way of asking, columns `COLUMNS`; also per regime in which PPO fails.

    Effects are means over the declared regimes of a length, ordinary ones; a failing regime stands alone. The ratio has the
    same columns, `component` empty; where it cannot be resolved it has no number and its note says so.
    """
    found = []
    for regimes, kind in _places():
        for name in COMPONENTS:
            for what, here in ((TAKEN, pairs(cells, regimes, name)), (ADDED, added(cells, regimes, name))):
                if len(here.gain):
                    found.append(_row(regimes[0], what, name, kind, here, student(here.gain)))
        found += _ratio(cells, regimes, kind)
    return pd.DataFrame(found, columns=list(COLUMNS))


def _places() -> list[tuple[list[Regime], str]]:
    """Declared regimes by world and length, then the failing ones by themselves."""
    groups = [
        [regime for regime in regimes if regime.length.tokens == tokens]
        for regimes in PLACES.values()
        for tokens in dict.fromkeys(regime.length.tokens for regime in regimes)
    ]
    return [(group, ORDINARY) for group in groups] + [([regime], regime.name) for regime in FAILING]


def _row(first: Regime, what: str, name: str, kind: str, here: Pairs, interval: Interval, note: str = "") -> tuple:
    length = mean_length(here.runs)
    return (first.world, what, name, kind, first.length.tokens, length, *interval, len(here.gain), note)


def _ratio(cells: Cells, regimes: list[Regime], kind: str) -> list[tuple]:
    seeds = complementarity.parts(cells, regimes)
    if not len(seeds):
        return []
    here, note = pairs(cells, regimes, COMPONENTS[0]), ""
    try:
        interval = complementarity.ratio(cells, regimes)
    except NoEstimate as error:
        interval, note = Interval(np.nan, np.nan, np.nan), str(error)
    row = _row(regimes[0], RATIO, "", kind, here, interval, note)
    return [(*row[:9], len(seeds), note)]


def chart(table: pd.DataFrame) -> Drawing:
    """A panel per component and one for the ratio; hollow marks are regimes in which PPO alone fails."""
    with canvas(7.4, 4.4) as figure:
        panels = figure.subplots(2, 4, sharex=True).ravel()
        for axes, name in zip(panels, COMPONENTS, strict=False):
            for what in (TAKEN, ADDED):
                _series(axes, table[(table["component"] == name) & (table["what"] == what)], COLOUR[what], what)
            axes.axhline(0, color=INK, linewidth=0.8)
            axes.set_title(name, fontsize=8)
        _series(panels[-1], table[table["what"] == RATIO], GREY, RATIO)
        panels[-1].axhline(1, color=INK, linewidth=0.8)
        panels[-1].axhline(complementarity.PAPER, color=INK, linewidth=0.8, linestyle="--")
        panels[-1].set_title("sum of losses / gain over PPO", fontsize=8)
        for axes in panels[4:]:
            axes.set_xlabel("mean response, tokens")
        for axes in panels[::4]:
            axes.set_ylabel("AUC")
        panels[-1].set_ylabel("")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(*_once(handles, labels), loc="outside lower center", ncols=4, frameon=False)
    alt = (
        "What each component is worth against the mean length of answers, with 95 % intervals: loss of full VAPO without it,"
        " beside the gain of PPO with it alone; means over noise levels and critic starts. Last panel: the seven losses over"
        " VAPO's gain over PPO; 1 is additive, dashed is the VAPO paper's 123 / 55. Hollow: regimes in which PPO alone fails."
    )
    return Drawing(figure, table, alt)


def _series(axes: Axes, table: pd.DataFrame, colour: object, label: str) -> None:
    for (world, kind), part in table.dropna(subset=["effect"]).groupby(["world", "regimes"], sort=False):
        ordered = part.sort_values("mean_length")
        half = np.nan_to_num(np.abs(ordered[["low", "high"]].to_numpy(float).T - ordered["effect"].to_numpy(float)))
        style = LINE[str(world)] if kind == ORDINARY else "none"
        axes.errorbar(
            ordered["mean_length"], ordered["effect"], yerr=half, linestyle=style, marker=MARK[str(world)], markersize=3.5,
            color=colour, capsize=2, linewidth=1, label=f"{label}, {'walk' if world == 'walk' else 'text'}",
            markerfacecolor=colour if kind == ORDINARY else "white",
        )  # fmt: skip
    axes.set_xscale("log")


def _once(handles: list, labels: list[str]) -> tuple[list, list[str]]:
    unique = dict(zip(labels, handles, strict=True))
    return list(unique.values()), list(unique)
