"""One self-contained HTML page about a sweep, and its figures as files."""

import base64
from pathlib import Path
from typing import NamedTuple

import jinja2
import pandas as pd

from analysis.drawing import Drawing, save, svg, write_whole
from analysis.sweep import CONTROL, MAIN, SweepTables, recommendations, settings_of
from analysis.sweep_figures import contour, history, length_contour, roles_of, slices
from analysis.sweep_text import facts, heads, sentences, trial_rows

TOP = (
    "Top: mean over all seeds; a pruned trial stands at its paired gap to the chosen one. Middle: minus the chosen trial "
    "on the held-back seeds, with 90 % intervals: a bar below 0 is a value ruled out. Bottom: "
)


class Figure(NamedTuple):
    """A drawing with its file name and caption."""

    name: str
    drawing: Drawing
    caption: str


class Picture(NamedTuple):
    """A figure as the page needs it."""

    source: str
    """data: URI."""
    alt: str
    caption: str


class Listing(NamedTuple):
    """The best trials of one study, and what share of the variance each setting has."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    importances: list[tuple[str, str, str]]


class Section(NamedTuple):
    """One place."""

    title: str
    facts: list[tuple[str, str]]
    sentences: list[str]
    listings: list[Listing]
    pictures: list[Picture]


def write_page(tables: SweepTables, out: Path) -> Path:
    """Write report.html and figures/ into the folder and return the page's path; the page loads nothing from elsewhere."""
    found = recommendations(tables)
    sections = []
    for place in [place for place in tables.space["place"].unique() if roles_of(tables, place)]:
        figures = _figures(tables, place, found)
        here = SweepTables(*(table[table["place"] == place] for table in tables))
        roles = list(dict.fromkeys(here.space["role"]))
        listings = [_listing(tables, place, role) for role in roles]
        kept = found[found["place"] == place]
        sections.append(Section(place, facts(tables, place), sentences(here, kept), listings, _saved(figures, out)))
    across = _across(tables)
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(
        loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    ).get_template("sweep.html.j2")
    write_whole(out / "report.html", page.render(sections=sections, across=_saved(across, out)).encode())
    return out / "report.html"


def _figures(tables: SweepTables, place: str, found: pd.DataFrame) -> list[Figure]:
    suffix = f"-{place.replace(' = ', '-')}" if place else ""
    figures = [
        Figure(f"history{suffix}", history(tables, place), "Every trial in the order in which it was proposed, by the mean "
               "of the seeds that choose. The best of many such means is too good by chance: see the held-back seeds."),
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


def _across(tables: SweepTables) -> list[Figure]:
    """Figures over all places: the setting against the mean response length that goes with it."""
    names = settings_of(tables, tables.space["place"].iloc[0], MAIN)
    drawing = length_contour(tables, names[0])
    caption = "Score minus the best trial's at the same place, over the setting and the place's mean response length."
    return [] if drawing is None else [Figure(f"contour-{names[0]}-length", drawing, caption)]


def _saved(figures: list[Figure], out: Path) -> list[Picture]:
    """Write each figure's files; return what the page shows."""
    pictures = []
    for name, drawing, caption in figures:
        save(drawing, out / "figures", name)
        source = "data:image/svg+xml;base64," + base64.b64encode(svg(drawing)).decode()
        pictures.append(Picture(source, drawing.alt, caption))
    return pictures


def _listing(tables: SweepTables, place: str, role: str) -> Listing:
    names, shares = settings_of(tables, place, role), tables.importances
    here = shares[(shares["place"] == place) & (shares["role"] == role)]
    listed = [(row["setting"], f"{row['importance']:.2f}", row["evaluator"]) for _, row in here.iterrows()]
    return Listing(" x ".join(names), heads(names), trial_rows(tables, place, role), listed)
