"""Pages from the templates in templates/; what they show is escaped."""

from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).parent / "templates"


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
