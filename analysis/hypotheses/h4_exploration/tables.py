"""Does training leave the trap, or is it caught? One outcome per run along the trap's dial.

`python -m analysis.hypotheses.h4_exploration.tables FOLDER OUT`
reads the tables of an ablation that varies `dials.guess_share`, and writes
`trap.csv`, the picture `trap.png` (and svg) with its numbers in `OUT`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.plots.drawing import ACCENT, COLOURS, GREY, INK, Drawing, canvas, save
from analysis.tables.schema import Tables, load

ESCAPE = 0.50
"""Accuracy after the last step from which a run has escaped; fixed before the runs, as is CAPTURE."""

CAPTURE = 0.25
"""Accuracy up to which it is captured: always guessing earns 0.20 by default, with a standard error of 0.0125."""

LENGTH = "response_length/mean"
_MARKS = {"escape": ("o", ACCENT), "open": ("s", GREY), "capture": ("X", COLOURS["ppo"])}


def outcome(accuracy: float) -> str:
    """escape, capture, or open in between."""
    if accuracy >= ESCAPE:
        return "escape"
    return "capture" if accuracy <= CAPTURE else "open"


def outcomes(tables: Tables) -> pd.DataFrame:
    """One row per run: dial, seed, accuracy and mean response length before and after, outcome."""
    runs = tables.runs.sort_values(["dials.guess_share", "seed"])
    lengths = tables.curves[tables.curves["metric"] == LENGTH].sort_values("step").groupby("spec")["value"]
    first, last = lengths.first(), lengths.last()
    return pd.DataFrame(
        {
            "guess_share": runs["dials.guess_share"],
            "seed": runs["seed"],
            "base": runs["base"],
            "steps": runs["steps"],
            "accuracy_before": runs["first"],
            "accuracy_after": runs["last"],
            "length_before": runs["spec"].map(first),
            "length_after": runs["spec"].map(last),
            "outcome": runs["last"].map(outcome),
            "guess_right": runs["dials.guess_right"],
            "spec": runs["spec"],
        }
    ).reset_index(drop=True)


def figure(table: pd.DataFrame) -> Drawing:
    """Accuracy after training by the dial, a mark per run; the lines are the two thresholds and what a guess earns."""
    shares = sorted(table["guess_share"].unique())
    place = {share: i for i, share in enumerate(shares)}
    with canvas(5.6, 3.2) as picture:
        axes = picture.subplots()
        for height, style in ((ESCAPE, "--"), (CAPTURE, "--"), (float(table["guess_right"].iloc[0]), ":")):
            axes.axhline(height, color=INK, linewidth=0.8, linestyle=style)
        for name, (mark, colour) in _MARKS.items():
            part = table[table["outcome"] == name]
            x = part["guess_share"].map(place) + 0.1 * (part["seed"] - table["seed"].median())
            axes.scatter(x, part["accuracy_after"], marker=mark, color=colour, s=26, label=f"{name} ({len(part)})")
        axes.set_xticks(np.arange(len(shares)), [f"{share:g}" for share in shares])
        axes.set(
            xlabel="share of demonstrations that guess",
            ylabel=f"pass@1 after {table['steps'].max()} steps",
            ylim=(0, 1),
        )
        axes.legend(frameon=False, loc="upper right")
    alt = "Accuracy after training against the trap's dial, one mark per run: escape, open or capture."
    return Drawing(picture, table, alt)


def main(words: Sequence[str]) -> None:
    """Tables of an ablation in, table and picture out."""
    folder, out = map(Path, words)
    save(figure(outcomes(load(folder, probes=()))), out, "trap")


if __name__ == "__main__":
    main(sys.argv[1:])
