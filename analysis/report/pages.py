"""Pages from the templates in templates/; what they show is escaped."""

import os
from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).parent / "templates"
CHECKOUT = Path(__file__).parents[2]


def methods_link(out: Path) -> str:
    """The address of METHODS.md as seen from a page; "" for a page outside the checkout, which cannot rely on it."""
    folder, methods = out.resolve().parent, CHECKOUT / "METHODS.md"
    inside = folder.is_relative_to(CHECKOUT) and methods.is_file()
    return Path(os.path.relpath(methods, folder)).as_posix() if inside else ""


def page(template: str, **shown: object) -> str:
    """The text of a template with what it shows.

    Raises:
        jinja2.UndefinedError: if the template asks for something that is not there.
    """
    return (
        jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        .get_template(template)
        .render(**shown)
    )
