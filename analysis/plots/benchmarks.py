"""The figure of `vapo bench`: ratios of seconds of every variant to its reference."""

from pathlib import Path

import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator

from analysis.plots.drawing import ACCENT, INK, Drawing, canvas

COLUMNS = ("part", "case", "variant", "reference", "ratio", "ratio_low", "ratio_high")


def read(folder: Path) -> pd.DataFrame:
    """All tables of a folder of benchmarks as one.

    Raises:
        FileNotFoundError: if there is none.
    """
    tables = [pd.read_csv(path) for path in sorted(Path(folder).glob("*.csv")) if path.name != "figure.csv"]
    if not tables:
        raise FileNotFoundError(f"no table of benchmarks in {folder}")
    return pd.concat(tables, ignore_index=True)


def ratios(table: pd.DataFrame) -> Drawing:
    """One panel per part: median ratio to the reference with quartiles over turns, on a logarithmic axis; left is faster."""
    shown = table[table["ratio"].notna() & (table["variant"] != table["reference"])]
    parts = list(dict.fromkeys(shown["part"]))
    heights = [(shown["part"] == part).sum() + 1.6 for part in parts]
    with canvas(8.4, 0.21 * sum(heights) + 0.4) as figure:
        panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
        for panel, part in zip(panels, parts, strict=True):
            rows = shown[shown["part"] == part].reset_index(drop=True)
            spread = [rows["ratio"] - rows["ratio_low"], rows["ratio_high"] - rows["ratio"]]
            panel.errorbar(rows["ratio"], rows.index, xerr=spread, fmt="o", color=ACCENT, capsize=2, markersize=3.5)
            panel.axvline(1, color=INK, linewidth=0.8)
            panel.set_xscale("log")
            for axis in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
                axis(FuncFormatter(lambda x, place: f"{x:g}"))
            panel.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            panel.set_yticks(rows.index, [f"{row.variant} ({row.case})" for row in rows.itertuples()])
            panel.set_ylim(len(rows) - 0.5, -0.5)
            panel.set_title(f"{part}: seconds over those of “{rows['reference'].iloc[0]}”", loc="right")
    return Drawing(figure, shown[list(COLUMNS)].reset_index(drop=True), "Ratios of seconds of every benchmark.")
