"""A page as tests read it: its tags, and that nothing is loaded from elsewhere."""

import re
from html.parser import HTMLParser

VOID = ("meta", "img", "link", "br", "source")


class Page(HTMLParser):
    """Tags with their attributes, checked to be balanced; the text outside tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        """What is read, white space as single blanks."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every tag of a kind."""
        return [attributes for name, attributes in self.found if name == tag]


def assert_self_contained(text: str) -> Page:
    """No script, nothing fetched: pictures and numbers as data: URIs, links within the page that lead somewhere."""
    page = Page(text)
    here = {attributes["id"] for _, attributes in page.found if "id" in attributes}
    for tag, attributes in page.found:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "srcset", "data"):
            target = attributes.get(name) or "#"
            assert re.match(r"data:image/svg\+xml;base64,|data:text/csv;base64,|#", target)
            if target[0] == "#" and len(target) > 1:
                assert target[1:] in here, target
    assert "url(" not in text
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    return page
