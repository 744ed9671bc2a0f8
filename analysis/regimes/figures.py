"""The figure of the search: PPO against the better of its controls in every regime."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from analysis.plots.drawing import GREY, INK, Drawing, canvas
from analysis.regimes.rule import LEARNABLE, SHORT

COLOUR = sns.color_palette("colorblind")


def map_of_regimes(found: pd.DataFrame, confirmed: pd.DataFrame) -> Drawing:
    """Mean J at the end, PPO over the better control, a panel per length.

    Args:
        found: `rule.findings` of the search. confirmed: of the confirmation, drawn as crosses; may be empty.
    """
    lengths = list(dict.fromkeys(found["length"]))
    with canvas(2.3 * max(len(lengths), 1) + 0.6, 2.9) as picture:
        panels = np.atleast_1d(picture.subplots(1, max(len(lengths), 1), sharey=True))
        for panel, length in zip(panels, lengths, strict=False):
            _panel(panel, found[found["length"] == length], confirmed[confirmed["length"] == length])
            panel.set(title=f"{length} decisions", xlabel="J of the better control", xlim=(0, 1.02), ylim=(0, 1.02))
        panels[0].set_ylabel("J of PPO, λ = 0.95")
        panels[0].legend(loc="upper left", frameon=False, title="responses a step")
    data = pd.concat([found.assign(stage="search"), confirmed.assign(stage="confirmation")], ignore_index=True)
    alt = (
        f"Mean J at the end of PPO against the better of GRPO and PPO at lambda 1, one dot per searched regime; below the dashed"
        f" line PPO reaches less than {SHORT:.2f} of the control. Filled: failing by the rule. Crosses: on other seeds."
    )
    return Drawing(picture, data, alt)


def _panel(panel: Axes, found: pd.DataFrame, confirmed: pd.DataFrame) -> None:
    ends = np.array([LEARNABLE, 1.0])
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    panel.plot(ends, SHORT * ends, color=INK, linewidth=0.8, linestyle="--")
    for colour, responses in zip(COLOUR, sorted(found["responses"].unique()), strict=False):
        rows, again = (table[table["responses"] == responses] for table in (found, confirmed))
        face = [colour if failing else (1, 1, 1) for failing in rows["failing"]]
        panel.scatter(rows["best"], rows["ppo"], s=18, c=face, edgecolors=[colour], linewidths=1, label=str(responses))
        panel.scatter(again["best"], again["ppo"], s=30, marker="x", color=[colour], linewidths=1.2)
