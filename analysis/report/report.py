"""One self-contained HTML page: ablations and sweeps with their settings and uncertainty, then the verdicts of the studies."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.ablations import factorial_view, grid, measured
from analysis.ablations.aggregates import AggregateRow, aggregate_rows, aggregates_table, profiles
from analysis.ablations.effects import ablation_table
from analysis.ablations.factorial import detect, effects
from analysis.ablations.figures import component_curves, effects_forest, learning_curves
from analysis.hypotheses.components.rows import heads
from analysis.plots.drawing import write_whole
from analysis.report.embedding import Picture, of_drawing
from analysis.report.pages import methods_link, page
from analysis.report.sentences import component_sentences
from analysis.report.study_page import Studies
from analysis.report.sweep_page import SweepSection
from analysis.report.wording import ArmRow, effect_rows, facts, seeds_note, summary
from analysis.tables import paper
from analysis.tables.arms import references
from analysis.tables.boundary import Damaged, left_out
from analysis.tables.curves import bands
from analysis.tables.schema import ACTIVITY, CELL, SCORE_LABELS, Tables, load


class Comparison(NamedTuple):
    """Everything about one reference arm."""

    reference: str
    note: str
    sentences: list[str]
    """One per changed component."""
    summary: str
    rows: list[ArmRow]
    pictures: list[Picture]
    """The first is that of the effects, if any effect has a number."""
    aggregates: "Aggregates | None"
    measured: "Measured | None"


class Aggregates(NamedTuple):
    """Interquartile means, probabilities of improvement and performance profiles."""

    rows: list[AggregateRow]
    picture: Picture


class Measured(NamedTuple):
    """What probes found at the last step."""

    names: list[str]
    """Column heads."""
    rows: list[measured.MeasuredRow]
    picture: Picture


class FactorialPart(NamedTuple):
    """Effects of a factorial design."""

    note: str
    summary: str
    rows: list[factorial_view.EffectRow]
    picture: Picture


class Section(NamedTuple):
    """Everything about runs that may be compared with each other."""

    title: str
    facts: list[tuple[str, str]]
    factorial: FactorialPart | None
    grid: Picture | None
    comparisons: list[Comparison]
    diverged: list[tuple[str, int, str]]
    """(arm, seed, reason), at most `MOST_DIVERGED`."""
    diverged_more: int
    """The number of the others."""


MOST_DIVERGED = 40
"""Diverged runs a section lists one by one."""


def write_report(
    sources: Path | str | Sequence[tuple[str, Path]],
    out: Path,
    studies: Studies | None = None,
    sweeps: Sequence[SweepSection] = (),
    objections: list[str] | None = None,
) -> Path:
    """Write the page about one table folder, or several as (title, folder), and return its path.

    Ablations come first, then what sweeps found, of `sweep_page.sections`, then what studies found, of `study_page.studies`.

    The file holds everything it shows and loads nothing; it appears whole or not at all. A folder that cannot be read is
    left out with a line in `objections`, if there is such a list.

    Raises:
        FileNotFoundError, ValueError: as `schema.load` and `effects.ablation_table` do, if there are no objections; or if
            nothing is left to show.
    """
    named = [("", Path(sources))] if isinstance(sources, (str, Path)) else [(t, Path(f)) for t, f in sources]
    sections: list[Section] = []
    for title, folder in named:
        with left_out(folder, objections):
            sections += sections_of(title, load(folder, probes=()))
    if objections and not (sections or studies or sweeps):
        raise Damaged("; ".join(objections))
    text = page(
        "report.html.j2",
        sections=sections,
        sweeps=sweeps,
        studies=studies,
        component_heads=heads(),
        activity=ACTIVITY,
        measured=measured.MEANINGS,
        source=paper.SOURCE,
        limitations=paper.LIMITATIONS,
        methods=methods_link(Path(out)),
        coding=factorial_view.CODING,
    )
    write_whole(Path(out), text.encode())
    return Path(out)


def sections_of(title: str, tables: Tables) -> list[Section]:
    """One section per set of comparable runs (same world, task, metric, steps and protocol), the largest set first."""
    groups = [(key, part) for key, part in tables.runs.groupby(list(CELL))]
    groups.sort(key=lambda pair: -len(pair[1]))
    sections = []
    for (world, task, *_), runs in groups:
        here = Tables(runs, tables.curves[tables.curves["spec"].isin(runs["spec"])])
        cells = grid.detect(runs)
        compared = [_comparison(here, reference) for reference in references(runs["arm"])]
        crashed = runs[runs["state"] == "diverged"].sort_values(["arm", "seed"])
        heading = ": ".join(part for part in (title, f"world “{world}”, task “{task}”") if part)
        listed = list(zip(crashed["arm"], crashed["seed"].astype(int), crashed["reason"], strict=True))
        factorial = _factorial(runs)
        if factorial is not None:  # a fraction may hold no arm that changes a single component
            compared = [comparison for comparison in compared if len(comparison.rows) > 1]
        shown, more = listed[:MOST_DIVERGED], max(0, len(listed) - MOST_DIVERGED)
        sections.append(Section(heading, facts(runs), factorial, cells and _grid(cells), compared, shown, more))
    return sections


def _grid(cells: grid.Grid) -> Picture:
    return of_drawing(
        grid.heatmap(cells),
        "grid",
        "Mean AUC of every cell of the grid over seeds, and under it the mean response length. No intervals: differences "
        "to the reference, paired by seed, are in the table. The best of many cells is biased upward by selection.",
    )


def _factorial(runs: pd.DataFrame) -> FactorialPart | None:
    """Effects, if the runs hold a factorial with a complete replicate."""
    found = detect(runs)
    if found is None or not found.seeds:
        return None
    table = effects(found)
    picture = of_drawing(
        factorial_view.effects_figure(table),
        "factorial",
        "Main effects and two-way interactions on AUC and on its log-odds, with 95 % Student intervals over seeds; grey: "
        "the interval includes 0. An effect that changes sign between the panels depends on the scale.",
    )
    return FactorialPart(
        factorial_view.note(found, table), factorial_view.summary(table), factorial_view.effect_rows(table), picture
    )


def _comparison(tables: Tables, reference: str) -> Comparison:
    table = ablation_table(tables.runs, reference)
    sentences = component_sentences(table)
    others = table[table["component"] == ""] if sentences else table  # each arm is in one sentence
    return Comparison(
        reference, seeds_note(table), sentences, summary(others) if len(others) > 1 or not sentences else "", effect_rows(table),
        _pictures(tables, table, reference), _aggregates(tables, list(table["arm"]), reference),
        _measured(tables, reference),
    )  # fmt: skip


def _aggregates(tables: Tables, arms: list[str], reference: str) -> Aggregates | None:
    """What rliable would say, if the reference and another arm have enough seeds for it."""
    table = aggregates_table(tables.runs, arms, reference)
    shown = list(table["arm"])
    if reference not in shown or len(shown) < 2:
        return None
    picture = of_drawing(
        profiles(tables.runs, shown, reference),
        "profiles",
        f"Performance profiles: the share of an arm's runs (blue) whose AUC is above a threshold; {reference} in grey. A curve "
        "further to the right is better; where curves cross, the arms differ in spread and not only in mean.",
    )
    return Aggregates(aggregate_rows(table), picture)


def _measured(tables: Tables, reference: str) -> Measured | None:
    """What probes found, if there were any."""
    table = measured.measured_table(tables, reference)
    if table.empty:
        return None
    picture = of_drawing(
        measured.measured_figure(table, reference),
        "measured",
        f"Level of every arm at the last step, mean over seeds with 95 % Student intervals; the line is {reference}. The "
        "table's differences are paired by seed and therefore more precise.",
    )
    names = [measured.HEADLINES[metric] for metric in measured.shown_metrics(table)]
    return Measured(names, measured.measured_rows(table, reference), picture)


def _pictures(tables: Tables, table: pd.DataFrame, reference: str) -> list[Picture]:
    metric = str(tables.runs["metric"].iloc[0])
    score = SCORE_LABELS.get(metric, metric)
    pictures = []
    if table["auc_diff"].notna().any():
        pictures.append(
            of_drawing(
                effects_forest(table, reference),
                "effects",
                f"Difference in AUC to {reference}, paired by seed, with 95 % Student intervals; beside it the "
                "difference the paper reports, in points of AIME24, without intervals. Compare signs and order only.",
            )
        )
    curves = bands(tables, metric, list(table["arm"]))
    if curves.empty:
        return pictures
    pictures.append(
        of_drawing(
            learning_curves(curves, reference, metric),
            "learning_curves",
            f"Score ({score}) against RL steps and against all generated tokens, value pretraining included. Lines: "
            "mean over seeds; bands: 95 % Student interval over seeds at each point. A diverged run counts as 0 from then on.",
        )
    )
    if table["component"].ne("").any():
        pictures.append(
            of_drawing(
                component_curves(curves, reference, metric),
                "component_curves",
                f"Score ({score}) against RL steps: each arm in blue, {reference} in grey; mean over seeds and 95 % "
                "Student interval. These bands are not paired: the figure of differences is more precise.",
            )
        )
    return pictures
