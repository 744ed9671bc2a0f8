"""Probe measurements at the last step, per arm: value error, gradient noise, exploration, compared with the reference."""

import math
from typing import NamedTuple

import pandas as pd
from rich import box
from rich.table import Table

from analysis.plots.drawing import ACCENT, INK, Drawing, canvas
from analysis.statistics.intervals import paired, student
from analysis.tables.arms import in_order, short
from analysis.tables.schema import Tables
from analysis.tables.terminal import NONE

HEADLINES: dict[str, str] = {
    "value_error/fvu_held_out": "value error, share of Var(V)",
    "gradient_variance/trace_token": "gradient variance, token mean, norm²",
    "gradient_variance/trace_sequence": "gradient variance, sequence mean, norm²",
    "exploration/prefix_entropy": "entropy, nats/token",
    "exploration/modes": "modes found",
}
"""Metric -> what it is called in tables and figures, with its unit."""

MEANINGS: dict[str, str] = {
    "value error": "squared error of the critic against true V on held-out problems, as a share of Var(V): 0 knows V, 1 "
    "is as good as the best constant. Recipes without a critic have none.",
    "gradient variance": "trace of the covariance of the policy gradient per response at the arm's own answers per prompt, under "
    "either reduction of the loss.",
    "entropy": "mean entropy of the policy on the prefixes of fixed demonstrations, so it moves with the policy alone.",
    "modes found": "distinct ways of being right among 16 answers to a problem, guesses not counted.",
}
"""What the page explains, by the first words of a headline."""

COLUMNS: tuple[str, ...] = ("arm", "metric", "runs", "mean", "low", "high", "pairs", "diff", "diff_low", "diff_high")


def measured_table(tables: Tables, reference: str, level: float = 0.95) -> pd.DataFrame:
    """Last value of every headline metric: mean over an arm's runs and the difference to the reference, paired by seed.

    Long form, columns `COLUMNS`, arms in the order of the table of effects; intervals are Student's at `level`, nan below
    two runs. A run without the metric at its last step is left out of it; `runs` says how many remain.
    Diverged runs are left out.
    """
    last = _last_values(tables)
    rows = []
    for metric in HEADLINES:
        here = last[last["metric"] == metric]
        reference_values = here[here["arm"] == reference].set_index("seed")["value"]
        for arm in in_order(tables.runs["arm"], reference):
            own = here[here["arm"] == arm].set_index("seed")["value"]
            if own.empty:
                continue
            shared = own.index.intersection(reference_values.index) if arm != reference else own.index[:0]
            mean, gap = student(own, level), paired(own[shared], reference_values[shared], level)
            rows.append((arm, metric, len(own), *mean, len(shared), *gap))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _last_values(tables: Tables) -> pd.DataFrame:
    """One row per finished run and headline metric that was measured at the run's last step."""
    curves = tables.curves[tables.curves["metric"].isin(list(HEADLINES))].dropna(subset=["value"])
    runs = tables.runs.loc[tables.runs["state"] == "finished", ["spec", "arm", "seed", "steps"]]
    found = curves.merge(runs, on="spec")
    return found[found["step"] == found["steps"]]


def shown_metrics(table: pd.DataFrame) -> list[str]:
    """Headline metrics of which the table has anything, in order."""
    return [metric for metric in HEADLINES if (table["metric"] == metric).any()]


class MeasuredRow(NamedTuple):
    """One arm's line, as text."""

    arm: str
    cells: list[str]
    """One per shown metric: the reference's own level, other arms' difference to it, with half of its interval."""


def measured_rows(table: pd.DataFrame, reference: str) -> list[MeasuredRow]:
    """The table as text, an arm a row."""
    metrics = shown_metrics(table)
    known = {(row["arm"], row["metric"]): row for _, row in table.iterrows()}
    arms = list(dict.fromkeys(table["arm"]))
    return [
        MeasuredRow(short(arm), [_cell(known.get((arm, metric)), arm == reference) for metric in metrics])
        for arm in arms
    ]


def _cell(row: pd.Series | None, is_reference: bool) -> str:
    if row is None:
        return NONE
    if is_reference:
        return _compact(row, "mean", ("low", "high"), sign=False)
    return _compact(row, "diff", ("diff_low", "diff_high"), sign=True)


def _compact(row: pd.Series, name: str, bounds: tuple[str, str], sign: bool) -> str:
    """An estimate to three significant digits, and half the width of its interval."""
    estimate, low, high = (float(row[key]) for key in (name, *bounds))
    if math.isnan(estimate):
        return NONE
    text = f"{estimate:+.3g}" if sign else f"{estimate:.3g}"
    return text if math.isnan(low) else f"{text} ±{(high - low) / 2:.2g}"


def measured_terminal(table: pd.DataFrame, reference: str) -> Table:
    """The table for a terminal; print it with a rich Console."""
    out = Table(
        box=box.SIMPLE_HEAD,
        title=f"Measured at the last step: {reference}'s level, other arms' difference to it",
        caption="±: half of a 95 % Student interval, paired by seed; –: not measured, or not distinguishable from noise.",
        caption_justify="left",
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    out.add_column("arm", no_wrap=True)
    for metric in shown_metrics(table):
        out.add_column(HEADLINES[metric], justify="right")
    for row in measured_rows(table, reference):
        out.add_row(row.arm, *row.cells)
    return out


def measured_figure(table: pd.DataFrame, reference: str) -> Drawing:
    """One panel per metric: every arm's level with its interval, the reference's as a line."""
    metrics = shown_metrics(table)
    arms = list(dict.fromkeys(table["arm"]))
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    with canvas(8.4, rows * (0.2 * len(arms) + 0.9)) as figure:
        panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
        for panel, metric in zip(panels, metrics, strict=False):
            part = table[table["metric"] == metric].set_index("arm").reindex(arms)
            spread = [part["mean"] - part["low"], part["high"] - part["mean"]]
            panel.errorbar(part["mean"], range(len(arms)), xerr=spread, fmt="o", color=ACCENT, capsize=2, markersize=3)
            panel.axvline(part["mean"].get(reference, math.nan), color=INK, linewidth=0.8)
            panel.set_xlabel(HEADLINES[metric])
            panel.set_yticks(range(len(arms)), [short(arm) for arm in arms])
            panel.grid(axis="y", color="0.92")
            panel.set_axisbelow(True)
        panels[0].set_ylim(len(arms) - 0.5, -0.5)
        for panel in panels[len(metrics) :]:
            panel.remove()
    return Drawing(figure, table, f"Value error, gradient noise and exploration of {len(arms)} arms at the last step.")
