"""Figures inside a page: the picture and its numbers as data: URIs, so that the page loads nothing."""

import base64
import re
from typing import NamedTuple

from analysis.plots.drawing import Drawing, svg
from analysis.verdict.outcomes import Shown

LARGER = 1.35
"""Pictures are drawn for a column of print; on a wide screen they are shown so much larger."""


class Picture(NamedTuple):
    """A figure as a page needs it."""

    source: str
    """data: URI of the SVG."""
    alt: str
    caption: str
    name: str
    """Of the file its numbers are saved as."""
    numbers: str
    """data: URI of the CSV."""
    width: int
    """CSS pixels at which its text has the size it was drawn for."""

    @property
    def widest(self) -> int:
        """CSS pixels at which it is shown where there is room."""
        return round(self.width * LARGER)


def of_drawing(drawing: Drawing, name: str, caption: str) -> Picture:
    """A drawing just made."""
    return _picture(svg(drawing), drawing.alt, caption, name, drawing.data.to_csv(index=False).encode())


def of_files(shown: Shown, caption: str = "") -> Picture:
    """A figure that a study saved."""
    return _picture(shown.svg.read_bytes(), shown.alt, caption, shown.name, shown.csv.read_bytes())


def _picture(picture: bytes, alt: str, caption: str, name: str, numbers: bytes) -> Picture:
    return Picture(
        _uri("image/svg+xml", picture),
        alt,
        caption,
        name,
        _uri("text/csv", numbers),
        round(width_of(picture) * 96 / 72),
    )


def width_of(picture: bytes) -> float:
    """Width an SVG names, in points; 432 (6 inches) if it names none."""
    named = re.search(rb"<svg[^>]*?\swidth=\"([\d.]+)pt\"", picture[:4000])
    return float(named.group(1)) if named else 432.0


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()
