"""Figures of the component table: effects beside the paper's, and rank agreement."""

import numpy as np
import pandas as pd
import seaborn as sns

from analysis.hypotheses.components.tables import NAMES
from analysis.plots.drawing import INK, Drawing, canvas
from analysis.tables.schema import COMPONENTS

COLOUR = sns.color_palette("colorblind")


def effects(table: pd.DataFrame) -> Drawing:
    """AUC gained by every component on the walk and on text, with 95 % intervals, beside points lost in the paper.

    `table` is of `component_effects.table`; hollow marks: activity below its floor, so that the effect says nothing.
    """
    worlds = list(table["world"].unique())
    with canvas(2.4 + 1.9 * len(worlds), 2.9) as picture:
        panels = picture.subplots(1, len(worlds) + 1, sharey=True)
        for panel, world, colour in zip(panels, worlds, COLOUR, strict=False):
            for _, row in table[table["world"] == world].iterrows():
                y, half = (
                    COMPONENTS.index(row["component"]),
                    [[row["effect"] - row["low"]], [row["high"] - row["effect"]]],
                )
                panel.errorbar(row["effect"], y, xerr=np.nan_to_num(np.array(half)), fmt="o", color=colour, markersize=4,
                               capsize=2, linewidth=1, markerfacecolor=colour if row["active"] else "white")  # fmt: skip
            seeds = table.loc[table["world"] == world, "seeds"].max()
            panel.locator_params(axis="x", nbins=4)
            panel.set(xlabel="AUC gained", title=f"{NAMES[world]}, {seeds} seeds")
        lost = table.drop_duplicates("component").set_index("component")["paper"]
        panels[-1].plot([lost[name] for name in lost.index], [COMPONENTS.index(n) for n in lost.index], "D", color=COLOUR[2],
                        markersize=4)  # fmt: skip
        panels[-1].set(xlabel="AIME24 points lost", title="paper, no intervals", xlim=(0, None))
        for panel in panels:
            panel.axvline(0, color=INK, linewidth=0.8)
            panel.grid(axis="y", color="0.92")
            panel.set_axisbelow(True)
        panels[0].set_yticks(np.arange(len(COMPONENTS)), COMPONENTS)
        panels[0].set_ylim(len(COMPONENTS) - 0.5, -0.5)
    alt = "AUC that full VAPO gains by each component, with 95 % intervals, beside the points lost in the paper's Table 1."
    return Drawing(picture, table, alt + " Hollow: the component's activity was below its floor.")


def ranks(table: pd.DataFrame) -> Drawing:
    """Kendall's tau of two orders of the components, over the central 95 % of random orders in grey."""
    with canvas(3.4, 0.45 * len(table) + 1.2) as picture:
        axes = picture.subplots()
        y = np.arange(len(table))
        axes.barh(y, table["null_high"] - table["null_low"], left=table["null_low"], color="0.88", height=0.5)
        axes.plot(table["tau"], y, "o", color=COLOUR[0], markersize=5)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(y, table["between"])
        axes.set(xlabel="Kendall's tau\n(grey: 95 % of random orders)", xlim=(-1, 1), ylim=(len(table) - 0.5, -0.5))
    return Drawing(picture, table, "Rank agreement of component effects, beside what random orders give.")
