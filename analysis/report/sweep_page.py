"""A sweep as a section of the report, and as its own page with figures as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.plots.drawing import Drawing, save, write_whole
from analysis.report.embedding import Picture, of_drawing
from analysis.report.pages import page
from analysis.sweeps.figures import contour, history, length_contour, roles_of, slices
from analysis.sweeps.sweep import CONTROL, MAIN, SweepTables, load_sweep, recommendations, settings_of
from analysis.sweeps.text import facts, heads, sentences, trial_rows
from analysis.tables.boundary import left_out

TOP = (
    "Top: mean over all seeds; a pruned trial stands at its paired gap to the chosen one. Middle: minus the chosen trial "
    "on the held-back seeds, with 90 % intervals: a bar below 0 is a value ruled out. Bottom: "
)


class Figure(NamedTuple):
    """A drawing with its file name and caption."""

    name: str
    drawing: Drawing
    caption: str


class Figures(NamedTuple):
    """All figures of a sweep."""

    places: dict[str, list[Figure]]
    """Of each place where something was tried."""
    across: list[Figure]
    """Over all places."""


class Listing(NamedTuple):
    """The best trials of one study, and what share of the variance each setting has."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    importances: list[tuple[str, str, str]]


class Place(NamedTuple):
    """What was found at one place."""

    title: str
    facts: list[tuple[str, str]]
    sentences: list[str]
    listings: list[Listing]
    pictures: list[Picture]


class SweepSection(NamedTuple):
    """A sweep as a page shows it."""

    title: str
    places: list[Place]
    across: list[Picture]


def sections(folders: Sequence[Path], objections: list[str] | None = None) -> list[SweepSection]:
    """A section per folder of a sweep, with the folder's name.

    Args:
        folders: of sweeps.
        objections: takes a line for each folder that cannot be read; the others go on.

    Raises:
        FileNotFoundError, ValueError: as `sweep.load_sweep` does, if there are no objections.
    """
    found = []
    for folder in folders:
        with left_out(folder, objections):
            tables = load_sweep(folder)
            recommended = recommendations(tables)
            found.append(_section(folder.name, tables, recommended, _figures(tables, recommended)))
    return found


def write_page(tables: SweepTables, out: Path) -> Path:
    """Write report.html and figures/ into the folder and return the page's path; the page loads nothing from elsewhere."""
    recommended = recommendations(tables)
    figures = _figures(tables, recommended)
    for figure in [*(figure for place in figures.places.values() for figure in place), *figures.across]:
        save(figure.drawing, out / "figures", figure.name)
    text = page("sweep.html.j2", sweeps=[_section(out.name, tables, recommended, figures)])
    write_whole(out / "report.html", text.encode())
    return out / "report.html"


def _section(title: str, tables: SweepTables, found: pd.DataFrame, figures: Figures) -> SweepSection:
    places = []
    for place, drawings in figures.places.items():
        here = SweepTables(*(table[table["place"] == place] for table in tables))
        listings = [_listing(tables, place, role) for role in dict.fromkeys(here.space["role"])]
        texts = sentences(here, found[found["place"] == place])
        places.append(Place(place, facts(tables, place), texts, listings, _pictures(drawings)))
    return SweepSection(title, places, _pictures(figures.across))


def _figures(tables: SweepTables, found: pd.DataFrame) -> Figures:
    tried = [place for place in tables.space["place"].unique() if roles_of(tables, place)]
    names = settings_of(tables, tables.space["place"].iloc[0], MAIN)
    drawing = length_contour(tables, names[0])
    caption = "Score minus the best trial's at the same place, over the setting and the place's mean response length."
    across = [] if drawing is None else [Figure(f"contour-{names[0]}-length", drawing, caption)]
    return Figures({place: _of_place(tables, place, found) for place in tried}, across)


def _of_place(tables: SweepTables, place: str, found: pd.DataFrame) -> list[Figure]:
    suffix = f"-{place.replace(' = ', '-')}" if place else ""
    figures = [
        Figure(f"history{suffix}", history(tables, place), "Every trial in the order in which it was proposed, by the mean "
               "of the seeds that choose. The best of many such means is biased upward by selection: see the held-back seeds."),
    ]  # fmt: skip
    for role in roles_of(tables, place):
        names = settings_of(tables, place, role)
        tail = f"{suffix}-constant" if role == CONTROL else suffix
        figures.append(
            Figure(f"slice{tail}", slices(tables, place, role, found), TOP + "mean response length over training.")
        )
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                drawing = contour(tables, place, role, (first, second))
                if drawing is not None:
                    caption = f"Mean score over {first} and {second}, all seeds of the complete trials."
                    figures.append(Figure(f"contour-{first}-{second}{tail}", drawing, caption))
    return figures


def _pictures(figures: Sequence[Figure]) -> list[Picture]:
    return [of_drawing(drawing, name, caption) for name, drawing, caption in figures]


def _listing(tables: SweepTables, place: str, role: str) -> Listing:
    names, shares = settings_of(tables, place, role), tables.importances
    here = shares[(shares["place"] == place) & (shares["role"] == role)]
    listed = [(row["setting"], f"{row['importance']:.2f}", row["evaluator"]) for _, row in here.iterrows()]
    return Listing(" x ".join(names), heads(names), trial_rows(tables, place, role), listed)
