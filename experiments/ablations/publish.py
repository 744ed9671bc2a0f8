"""Outputs of an ablation: tables with the design's arm labels, figures, the report, a printed table."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.ablations.planning import AblationPlan
from vapo_core.files import write_whole


def publish(plan: AblationPlan, runs: Path, title: str, out: Path) -> None:
    """Write the tables, figures and page of a plan's finished runs into `out`, and print what was found."""
    from rich.console import Console

    from analysis.ablations import grid
    from analysis.ablations.factorial import detect
    from analysis.plots.drawing import save
    from analysis.report.report import write_report
    from analysis.tables.schema import load
    from experiments.runs.collect import collect

    collect(sorted(plan.specs, key=lambda spec: (spec.seed, plan.arms.index(plan.labels[spec.hash]))), runs, out)
    relabel(out / "runs.csv", plan.labels)
    tables = load(out, probes=())
    console = Console(width=None if sys.stdout.isatty() else 120)
    if plan.reference in set(tables.runs["arm"]):
        _publish_arms(tables, plan.reference, out, console)
    found = detect(tables.runs)
    if found is not None:
        _publish_factorial(found, out, console)
    cells = grid.detect(tables.runs)
    if cells is not None:
        save(grid.heatmap(cells), out / "figures", "grid")
    print(f"report: {write_report([(title, out)], out / 'report.html')}")


def _publish_arms(tables: Any, reference: str, out: Path, console: Any) -> None:
    """Every arm against the reference; combinations of several components are left to the factorial's effects."""
    from analysis.ablations.effects import ablation_table
    from analysis.ablations.figures import component_curves, effects_forest, learning_curves
    from analysis.ablations.measured import measured_figure, measured_table, measured_terminal
    from analysis.plots.drawing import save
    from analysis.tables.curves import bands
    from analysis.tables.terminal import effects_table

    metric = str(tables.runs["metric"].iloc[0])
    table = ablation_table(tables.runs, reference)
    if len(table) < 2:
        return
    curves = bands(tables, metric, list(table["arm"]))
    save(effects_forest(table, reference), out / "figures", "effects")
    save(learning_curves(curves, reference, metric), out / "figures", "learning_curves")
    if table["component"].ne("").any():
        save(component_curves(curves, reference, metric), out / "figures", "component_curves")
    console.print(effects_table(table, metric, width=console.width))
    found = measured_table(tables, reference)
    if not found.empty:
        save(measured_figure(found, reference), out / "figures", "measured")
        console.print(measured_terminal(found, reference))


def _publish_factorial(found: Any, out: Path, console: Any) -> None:
    """Main effects and two-way interactions."""
    from analysis.ablations.factorial import effects
    from analysis.ablations.factorial_view import effects_figure, terminal_table
    from analysis.plots.drawing import save

    table = effects(found)
    save(effects_figure(table), out / "figures", "factorial")
    write_whole(out / "factorial.csv", table.to_csv(index=False))
    console.print(terminal_table(found, table))


def relabel(path: Path, labels: Mapping[str, str]) -> None:
    """Write a table of runs again with each row's arm as `labels` (spec hash -> label) calls it; nothing else changes."""
    import pandas as pd

    rows = pd.read_csv(io.StringIO(path.read_text(encoding="utf-8")), dtype=str, keep_default_na=False)
    rows["arm"] = rows["spec"].map(labels)
    write_whole(path, rows.to_csv(index=False))
