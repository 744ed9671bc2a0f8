"""Report text for each study: title, topics of its questions, theory, and what would change the conclusions."""

from importlib import import_module
from typing import NamedTuple


class StudyText(NamedTuple):
    """One study in words; R1 to R13 are the closed forms listed in METHODS.md."""

    title: str
    theory: tuple[str, ...]
    """A few sentences, one idea each."""
    change: tuple[str, ...]
    """Observations that would overturn the prediction or the way it is tested."""


def text_of(stem: str) -> StudyText:
    """A study in words."""
    return import_module(f"{__package__}.{stem}.text").TEXT


def topic_of(stem: str, question: str) -> str:
    """A few words for a question; "" for a question without them."""
    return import_module(f"{__package__}.{stem}.text").TOPICS.get(question, "")
