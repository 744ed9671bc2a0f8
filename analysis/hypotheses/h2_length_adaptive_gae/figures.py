"""Figures of limitation 2: score against horizon by regime, and a comparison of rules."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.hypotheses.h2_length_adaptive_gae.tables import Grids
from analysis.plots.drawing import ACCENT, COLOURS, INK, Drawing, canvas
from analysis.statistics.intervals import student

WHOLE_LENGTH = 32
"""Tokens at which an alpha is drawn at its horizon, alpha l."""


def horizons(found: Mapping[str, Grids]) -> Drawing:
    """AUC of alphas and of constants against their horizon, a panel per regime; bars: 95 % Student intervals over seeds."""
    rows = []
    with canvas(7.2, 2.6) as picture:
        panels = picture.subplots(1, len(found), sharey=True)
        for axes, (regime, table) in zip(panels, found.items(), strict=True):
            curves = {
                "alpha l": (np.array(table.alphas) * WHOLE_LENGTH, table.adaptive, "o-", COLOURS["vapo"]),
                "constant": (1 / (1 - np.array(table.lambdas)), table.constant, "s--", COLOURS["ppo"]),
            }
            for name, (across, scores, mark, colour) in curves.items():
                if not scores.size:
                    continue
                mean, low, high = np.array([student(column) for column in scores.T]).T
                rows += [(regime, name, *row, len(scores)) for row in zip(across, mean, low, high, strict=True)]
                axes.errorbar(across, mean, yerr=[mean - low, high - mean], fmt=mark, color=colour, markersize=3.5,
                              capsize=2, linewidth=1, label=name)  # fmt: skip
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
            axes.set_title(f"{regime} problems", loc="left")
            axes.set_xlabel("horizon, tokens (alpha at l = 32)")
        panels[0].set_ylabel("area under the learning curve")
        legend_of(panels)
    names = ["regime", "rule", "horizon", "mean", "low", "high", "seeds"]
    alt = "Area under the learning curve against the horizon of lambda, by VAPO's rule and by a constant, by regime of length."
    return Drawing(picture, pd.DataFrame(rows, columns=names), alt)


def legend_of(panels: Sequence[Axes]) -> None:
    """In the last panel that shows something; none where nothing is shown."""
    for panel in reversed(panels):
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False, loc="lower center")
            return


def rules(against: Mapping[str, np.ndarray]) -> Drawing:
    """Every rule minus VAPO's, both at their best setting, chosen and scored on different seeds; 95 % Student intervals.

    `against` has [S] differences of area under the learning curve by rule.
    """
    rows = [(name, *student(theta), len(theta)) for name, theta in against.items()]
    table = pd.DataFrame(rows, columns=["rule", "difference", "low", "high", "seeds"])
    with canvas(3.6, 0.34 * len(table) + 0.9) as picture:
        axes = picture.subplots()
        y = np.arange(len(table))
        spread = [table["difference"] - table["low"], table["high"] - table["difference"]]
        axes.errorbar(table["difference"], y, xerr=spread, fmt="o", color=ACCENT, capsize=3, markersize=4)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(y, [rule.replace("_", " ") for rule in table["rule"]])
        axes.set_ylim(len(table) - 0.5, -0.5)
        axes.set_xlabel("AUC minus VAPO's rule, mixed lengths")
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
    return Drawing(picture, table, "Area under the learning curve of other lambda rules minus VAPO's, with intervals.")
