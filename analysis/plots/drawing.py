"""The common style of figures; each is saved with the numbers it shows."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.tables.arms import RECIPES

COLOURS: dict[str, tuple[float, float, float]] = dict(
    zip(RECIPES, [sns.color_palette("colorblind")[i] for i in (0, 1, 2, 3, 4)], strict=True)
)
"""One colour-blind safe colour per recipe, the same in every figure."""

DASHES: dict[str, str] = dict(zip(RECIPES, ["-", "--", "-.", ":", "--"], strict=True))
"""One line style per recipe, so that a figure survives grey printing."""

GREY = (0.55, 0.55, 0.55)
ACCENT = sns.color_palette("colorblind")[0]
INK = "#222222"

STYLE = {
    **sns.axes_style("ticks"),
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "svg.hashsalt": "vapo-lab",
    "figure.constrained_layout.use": True,
}


class Drawing(NamedTuple):
    """A figure and exactly the numbers it shows."""

    figure: Figure
    data: pd.DataFrame
    alt: str
    """What is seen, in words."""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """As a notebook shows it: the picture, and its words for those who do not see it."""
        return {"image/png": _picture(self.figure, "png")}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt


class Saved(NamedTuple):
    """Where one drawing was written."""

    png: Path
    svg: Path
    csv: Path


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """A figure of that size in inches, in the common style, outside pyplot's global state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        yield figure
        figure.canvas.draw()


def svg(drawing: Drawing) -> bytes:
    """The picture as SVG, the same bytes for the same drawing."""
    return _picture(drawing.figure, "svg")


def save(drawing: Drawing, folder: Path, name: str) -> Saved:
    """Write name.png (150 dpi), name.svg and name.csv, each whole or not at all."""
    saved = Saved(*(Path(folder) / f"{name}.{kind}" for kind in ("png", "svg", "csv")))
    write_whole(saved.png, _picture(drawing.figure, "png"))
    write_whole(saved.svg, svg(drawing))
    write_whole(saved.csv, drawing.data.to_csv(index=False).encode())
    return saved


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content)
        os.replace(scratch, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say where
        raise
    finally:
        scratch.unlink(missing_ok=True)


def _picture(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
